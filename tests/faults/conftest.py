"""Servers that a test may harm, a network that fails, and programs that use a ledger."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from faults.program import Program, eventually
from faults.proxy import Proxy
from psycopg.conninfo import make_conninfo

from keyledger.infrastructure import schema
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.embedded import EmbeddedServer

# What the operating system has outlives a killed postmaster; what waits in shared memory does not.
SURVIVES_KILLS = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "60"}


class PrivateServer:
    """A server of this worker only, that a test may kill, freeze and bring back."""

    def __init__(self, data_dir: Path) -> None:
        self.lease = EmbeddedServer.acquire(data_dir, options=SURVIVES_KILLS)
        self.data_dir = data_dir

    @property
    def pid(self) -> int:
        """The number of the postmaster."""
        return int((self.data_dir / "cluster" / "postmaster.pid").read_text().split()[0])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the postmaster alone."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9 the postmaster, and return when it does not answer any more."""
        self.signal(signal.SIGKILL)
        eventually(lambda: not self._answers())

    def start(self) -> None:
        """Bring the server back."""
        self.lease.ensure_running()

    def new_dsn(self, *, migrated: bool = True) -> str:
        """A new database."""
        name = f"db_{uuid4().hex}"
        with psycopg.connect(self.lease.conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        dsn = make_conninfo(self.lease.conninfo, dbname=name)
        if migrated:
            database = Database(dsn)
            schema.migrate(database)
            database.close()
        return dsn

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.lease.conninfo).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture(scope="session")
def private_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """One for all the tests of a worker: a new cluster costs a second."""
    server = PrivateServer(tmp_path_factory.mktemp("private") / "pg")
    yield server
    server.lease.release()


@pytest.fixture
def private_server(private_servers: PrivateServer) -> Iterator[PrivateServer]:
    """A running server that the test may harm."""
    private_servers.start()
    yield private_servers
    private_servers.start()


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    """The network to the empty database of the test."""
    proxy = Proxy(dsn)
    yield proxy
    proxy.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Starts programs, which do not outlive the test."""
    programs: list[Program] = []

    def start(code: str, **given: Any) -> Program:
        programs.append(Program(code, **given))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()
