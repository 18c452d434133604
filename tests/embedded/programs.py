"""Programs of their own that hold leases, and the types of this folder's fixtures."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from keyledger.infrastructure.embedded import EmbeddedServer

# Kills of processes lose nothing that the operating system has, so the tests need not wait for the disk.
QUICK = {"fsync": "off"}
PREAMBLE = f"""
import os, sys
from pathlib import Path
import psycopg
from keyledger.infrastructure.embedded import EmbeddedServer
server = EmbeddedServer.acquire(Path(sys.argv[1]), options={QUICK!r})
def query(text):
    with psycopg.connect(server.conninfo) as connection:
        return connection.execute(text).fetchone()[0]
"""
HOLD = """
print("holding", flush=True)
sys.stdin.readline()
server.release()
print("released", flush=True)
"""


class Program:
    """A Python program that has a lease on `data_dir` and then runs `code`."""

    def __init__(self, data_dir: Path, code: str, uid: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + code, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )

    def says(self) -> str:
        """Return the next line that the program prints, "" at its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        """Give the program the line it waits for."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill -9 the program, and nothing it started."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the program."""
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


Acquire = Callable[..., EmbeddedServer]
Start = Callable[..., Program]
RunProgram = Callable[[Path, str], list[str]]
Query = Callable[[EmbeddedServer, str], object]
IsDown = Callable[[Path], bool]
Eventually = Callable[[Callable[[], bool]], None]
PidOf = Callable[[Path], int]
Kill = Callable[[Path], None]
