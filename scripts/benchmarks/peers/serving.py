"""A contender's side of the comparison: one caller, asked for some calls at a time.

Also imported by the peers' own Pythons, which have nothing of keyledger's: the standard library alone.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def asked() -> dict[str, Any]:
    """The first line of stdin: `dsn`, what libpq calls its parameters, and `keys`, how many to make."""
    found: dict[str, Any] = json.loads(sys.stdin.readline())
    return found


def serve(versions: str, verify: Callable[[int], None], *, settle: Callable[[], object] = lambda: None) -> None:
    """Say what is measured; then answer each number of calls with the microseconds of each, until stdin ends.

    `verify` is given 0, 1, 2 … and fails unless the key is accepted. `settle` does what a turn has left to be done
    later, so that it does not fall into the others' turns.
    """
    _say(versions)
    number = 0
    for line in sys.stdin:
        found = []
        for _ in range(int(line)):
            start = time.perf_counter_ns()
            verify(number)
            found.append((time.perf_counter_ns() - start) / 1_000)
            number += 1
        settle()
        _say(found)


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)
