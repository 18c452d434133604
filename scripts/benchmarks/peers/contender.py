"""A contender's process, asked for a turn at a time."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from scripts.benchmarks.peers.errors import PeerUnavailable

ROOT = Path(__file__).parents[3]
_END_SECONDS = 30


class Contender:
    """One caller in a process of its own; serving.py has the other side."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", dsn: str, *, keys: int) -> None:
        """Wait until it has its tables and so many keys. Raises PeerUnavailable."""
        self._name, self._process = name, process
        self.versions: str = self._ask({"dsn": conninfo_to_dict(dsn), "keys": keys})

    def turn(self, calls: int) -> list[float]:
        """Microseconds of each call, after a tenth as many that warm it up. Raises PeerUnavailable."""
        warm_up = calls // 10
        found: list[float] = self._ask(warm_up + calls)
        return found[warm_up:]

    def _ask(self, question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise PeerUnavailable(f"the program of {self._name} ended; what it said stands above")
        return json.loads(answer)


@contextmanager
def contender(
    name: str, command: list[str | Path], dsn: str, *, keys: int, cwd: Path = ROOT
) -> Iterator[Contender]:
    """A contender that is ready, until the end of the block. Raises PeerUnavailable."""
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Contender(name, process, dsn, keys=keys)
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    """The end of stdin is its sign to leave; one that does not is killed."""
    try:
        process.communicate(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
