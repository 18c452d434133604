"""The memory a command takes: `python -m scripts.benchmarks.peak ARGUMENT…` runs keyledger and tells its peak.

With the one argument REPLAY it walks through what replay tells of all keys, which the command line would print.

A process of its own, since a peak never falls, and nothing that was measured before may count.
"""

import json
import os
import subprocess
import sys
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import keyledger.cli
from keyledger import KeyLedger, Settings

REPLAY = "all-replayed"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    return Peak(json.loads(found.stdout.splitlines()[-1]) / 1_000, time.perf_counter() - start)


def _kilobytes() -> int:
    """Linux's high-water mark of this program alone; `getrusage` would count what ran here before it as well."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Run the command, and put the peak on stdout, in a line below what it says."""
    if sys.argv[1:] == [REPLAY]:
        _replay()
    else:
        _command()
    print(_kilobytes())


def _command() -> None:
    try:
        keyledger.cli.main()
    except SystemExit as end:
        if end.code:
            raise


def _replay() -> None:
    with KeyLedger.open(settings=Settings(background_worker=False, database_timeout_seconds=600.0)) as ledger:
        now = datetime.now(UTC)
        for each in (ledger.replay.keys_as_of(now, include_invalid=True), ledger.replay.diff(EPOCH, now)):
            deque(each, maxlen=0)


if __name__ == "__main__":
    main()
