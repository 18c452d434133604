"""Clerk's clients, unmodified, and schemathesis, each in a place of its own below the checkout, installed once."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

FUZZING = Path(__file__).parent / "fuzzing"
SOURCES = Path(__file__).parent / "clients"
PLACES = Path(__file__).parents[2] / ".clients"
_TIMEOUT_SECONDS = 900


class ClientUnavailable(Exception):
    """A client cannot be installed; the message says what is missing."""


def python_client() -> Path:
    """The Python that has clerk-backend-api. Raises ClientUnavailable."""
    return _python("python", SOURCES / "python.lock")


def schemathesis() -> Path:
    """The program. Raises ClientUnavailable."""
    return _python("schemathesis", FUZZING / "schemathesis.lock").with_name("schemathesis")


def _python(name: str, lock: Path) -> Path:
    place = PLACES / name
    python = place / "bin" / "python"

    def steps() -> None:
        # The outer pip serves the venv: Debian's Python has none to put into it.
        _run("python -m venv", sys.executable, "-m", "venv", "--without-pip", place)
        pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--no-input")
        _run("pip install", *pip, "install", "-qq", "--require-hashes", "-r", lock)

    _once(place, [lock], sys.version, steps)
    return python


def node() -> str:
    """Node.js. Raises ClientUnavailable."""
    return _program("node")


def node_clients() -> Path:
    """The folder that has @clerk/backend and @clerk/clerk-js. Raises ClientUnavailable."""
    place, npm = PLACES / "node", _program("npm")
    files = [SOURCES / "package.json", SOURCES / "package-lock.json"]

    def steps() -> None:
        for file in files:
            shutil.copy(file, place)
        _run("npm ci", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=place)

    _once(place, files, "", steps)
    return place


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ClientUnavailable(f"`{name}` is not on PATH: these tests need Node.js 20.19 or newer with npm")
    return found


def _once(place: Path, locks: list[Path], made_by: str, steps: Callable[[], None]) -> None:
    """Take the steps in an empty folder, unless its `.ready` says that they were all taken from the same locks."""
    made_from = sha256(b"".join(lock.read_bytes() for lock in locks) + f"{made_by} {place}".encode()).hexdigest()
    ready = place / ".ready"
    with _alone():
        if ready.is_file() and ready.read_text("utf-8") == made_from:
            return
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        steps()
        ready.write_text(made_from, "utf-8")


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time: the tests run in several."""
    PLACES.mkdir(exist_ok=True)
    with (PLACES / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(title: str, *command: str | Path, cwd: Path | None = None) -> None:
    environment = dict(os.environ)
    if not os.access(environment.get("HOME") or "/nowhere", os.W_OK):
        environment["HOME"] = str(PLACES)  # npm keeps a cache there
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClientUnavailable(f"`{title}` did not end well: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ClientUnavailable(f"`{title}` failed; it needs a package index, or a cache that has it all:\n{said}")


def node_program(name: str) -> Path:
    """A program of `clients`, beside the modules that it uses. Raises ClientUnavailable."""
    source, place = SOURCES / name, node_clients() / name
    with _alone():
        if not place.is_file() or place.read_bytes() != source.read_bytes():
            shutil.copy(source, place)
    return place
