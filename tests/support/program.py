"""Processes of their own that use a ledger, driven line by line."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from threading import Barrier, Thread
from typing import Any, TypeVar

from support.waiting import PATIENCE_SECONDS

T = TypeVar("T")

# What a program is given comes by standard input: a secret has no place in argv.
PREAMBLE = """
import json, os, sys, threading, time
from keyledger import KeyLedger, LedgerUnavailable, Settings, Use
globals().update(json.loads(sys.stdin.readline()))
def say(value):
    os.write(1, json.dumps(value).encode() + b"\\n")
def hear():
    return json.loads(sys.stdin.readline() or "null")
QUICK = Settings(flush_interval_seconds=0.05, database_timeout_seconds=20.0)
"""


class Program:
    """A Python program that runs `code` with the names of `given` set, and exchanges JSON lines with the test."""

    def __init__(self, code: str, *, within: Sequence[str] = (), **given: Any) -> None:
        """`within` is a command that runs the program's command."""
        command = [*within, sys.executable, "-c", PREAMBLE + code]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._heard = b""
        self.tell(given)

    def tell(self, value: Any) -> None:
        """Send a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value).encode() + b"\n")

    def says(self, seconds: float = PATIENCE_SECONDS) -> Any:
        """The next thing the program says; None at its end."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self._heard:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the program says nothing"
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                return None
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return json.loads(line)

    def finish(self) -> int:
        """Wait for the program's end and return its exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Kill -9 the program, and close the pipes."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


def together(works: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """What each work returned or raised, all begun at the same moment in threads of their own."""
    barrier = Barrier(len(works))
    results: list[T | Exception] = [RuntimeError("did not end")] * len(works)

    def run(place: int, work: Callable[[], T]) -> None:
        barrier.wait()
        try:
            results[place] = work()
        except Exception as error:
            results[place] = error

    threads = [Thread(target=run, args=(place, work), daemon=True) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    return results
