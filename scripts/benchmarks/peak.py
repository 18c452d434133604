"""The memory a command takes: `python -m scripts.benchmarks.peak ARGUMENT…` runs keyledger and tells its peak.

A process of its own, since a peak never falls, and nothing that was measured before may count.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import keyledger.cli


class Peak(NamedTuple):
    """The most that was resident, in MB, and the seconds that the command took with its start."""

    megabytes: float
    seconds: float


def measured(dsn: str, *arguments: str) -> Peak:
    """Run `keyledger ARGUMENT…` on a database, and measure it."""
    start = time.perf_counter()
    found = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks.peak", *arguments],
        env={**os.environ, "KEYLEDGER_DSN": dsn},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Peak(json.loads(found.stdout) / 1_000, time.perf_counter() - start)


def _kilobytes() -> int:
    """Linux's high-water mark of this program alone; `getrusage` would count what ran here before it as well."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Run the command, which is to write nothing on stdout, and put the peak there."""
    try:
        keyledger.cli.main()
    except SystemExit as end:
        if end.code:
            raise
    print(_kilobytes())


if __name__ == "__main__":
    main()
