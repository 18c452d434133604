"""Real servers in data directories of their own, and programs that hold leases on them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from embedded.programs import (
    HOLD,
    PREAMBLE,
    QUICK,
    Acquire,
    Eventually,
    IsDown,
    Kill,
    PidOf,
    Program,
    Query,
    RunProgram,
    Start,
)
from support import waiting

from keyledger.infrastructure.embedded import EmbeddedServer
from keyledger.infrastructure.embedded.lock import is_free


@pytest.fixture(scope="module")
def _module_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d") / "d"


@pytest.fixture
def data_dir(_module_dir: Path) -> Iterator[Path]:
    """A data directory that the tests of a module use one after the other: initdb takes half a second."""
    yield _module_dir
    _clear(_module_dir)


@pytest.fixture
def new_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory of the test's own, which is still to be made."""
    path = tmp_path / "n"
    yield path
    _clear(path)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every account can reach, unlike tmp_path."""
    place = Path(tempfile.mkdtemp(prefix="open-"))
    place.chmod(0o755)
    yield place
    for path in place.iterdir():
        _clear(path)
    shutil.rmtree(place)


@pytest.fixture
def acquire(data_dir: Path, new_dir: Path, open_place: Path) -> Iterator[Acquire]:
    """`EmbeddedServer.acquire`, by default of `data_dir`, with a release at the end of the test."""
    servers: list[EmbeddedServer] = []

    def acquire(path: Path = data_dir, **arguments: object) -> EmbeddedServer:
        server = EmbeddedServer.acquire(path, **{"options": QUICK, **arguments})  # type: ignore[arg-type]
        servers.append(server)
        return server

    yield acquire
    for server in servers:
        server.release()


@pytest.fixture
def start(data_dir: Path, new_dir: Path, open_place: Path) -> Iterator[Start]:
    """Start a Program, by default one that holds a lease on `data_dir` until it is told to go on."""
    programs: list[Program] = []

    def start(code: str = HOLD, *, path: Path = data_dir, uid: int | None = None) -> Program:
        programs.append(Program(path, code, uid))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


@pytest.fixture
def run_program() -> RunProgram:
    """Run a program to its end, its output captured in a pipe, and return the lines it printed."""

    def run(data_dir: Path, code: str) -> list[str]:
        command = [sys.executable, "-c", PREAMBLE + code, str(data_dir)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.split()

    return run


@pytest.fixture
def query() -> Query:
    """Run a statement in a connection of its own and return the first value it answers, if any."""

    def query(server: EmbeddedServer, text: str) -> object:
        with psycopg.connect(server.conninfo) as connection:
            cursor = connection.execute(text)
            row = cursor.fetchone() if cursor.description else None
        return row and row[0]

    return query


@pytest.fixture
def is_down() -> IsDown:
    """Say whether no process of the server is left."""
    return _is_down


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a condition holds, and fail when it does not in time."""
    return waiting.eventually


@pytest.fixture
def kill_postmaster() -> Kill:
    """Kill -9 the postmaster alone: what it forked, and its supervisor, are left to notice."""
    return lambda data_dir: os.kill(postmaster_pid(data_dir), signal.SIGKILL)


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text().split()[0])


@pytest.fixture
def pid_of_postmaster() -> PidOf:
    return postmaster_pid


def _is_down(data_dir: Path) -> bool:
    lock = data_dir / "server.lock"
    return not lock.exists() or is_free(lock)


def _clear(data_dir: Path) -> None:
    """Wait for the server's end, and remove the socket folder that a long path has outside."""
    end = time.monotonic() + 20
    while not _is_down(data_dir):
        assert time.monotonic() < end, f"a server was left running in {data_dir}"
        time.sleep(0.01)
    sockets = data_dir / "socket"
    if sockets.is_symlink():
        shutil.rmtree(sockets.readlink(), ignore_errors=True)
