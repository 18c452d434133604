"""The peers in places of their own, kept between runs."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from scripts.benchmarks.peers.errors import PeerUnavailable

SOURCES = Path(__file__).parent
PLACES = SOURCES.parents[2] / ".peers"
_TIMEOUT_SECONDS = 900


class Peers(NamedTuple):
    """What runs the peers' programs: a Python, and Node.js with the folder that has `node_modules`."""

    django: Path
    node: str
    better_auth: Path


def install(places: Path = PLACES) -> Peers:
    """Install what is not in place yet, with the caller's pip and npm. Raises PeerUnavailable."""
    node, npm = _program("node"), _program("npm")
    return Peers(
        django=_django(places / "django"), node=node, better_auth=_better_auth(places / "better-auth", npm)
    )


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PeerUnavailable(
            f"`{name}` is not on PATH: better-auth needs Node.js 20 or newer with npm; nothing was installed"
        )
    return found


def _django(place: Path) -> Path:
    lock, python = SOURCES / "django.lock", place / "bin" / "python"

    def steps() -> None:
        # The outer pip serves the venv: Debian's Python has none to put into it.
        _run("python -m venv", sys.executable, "-m", "venv", "--without-pip", place)
        pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--no-input")
        _run("pip install", *pip, "install", "-qq", "--require-hashes", "-r", lock)

    _once("djangorestframework-api-key", place, [lock], sys.version, steps)
    return python


def _better_auth(place: Path, npm: str) -> Path:
    files = [SOURCES / "package.json", SOURCES / "package-lock.json"]

    def steps() -> None:
        for file in files:
            shutil.copy(file, place)
        _run("npm ci", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=place)

    _once("better-auth", place, files, "", steps)
    return place


def _once(name: str, place: Path, locks: list[Path], made_by: str, steps: Callable[[], None]) -> None:
    """Take the steps in an empty folder, unless its `.ready` says that they were all taken from the same locks."""
    made_from = sha256(b"".join(lock.read_bytes() for lock in locks) + f"{made_by} {place}".encode()).hexdigest()
    ready = place / ".ready"
    if ready.is_file() and ready.read_text("utf-8") == made_from:
        return
    print(f"Installing {name} into {place} (once)…", file=sys.stderr, flush=True)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    steps()
    ready.write_text(made_from, "utf-8")


def _run(title: str, *command: str | Path, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailable(f"`{title}` did not end well: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise PeerUnavailable(f"`{title}` failed; it needs a package index, or a cache that has it all:\n{said}")
