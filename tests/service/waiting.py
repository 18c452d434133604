"""Waiting for what another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 30.0


def eventually(condition: Callable[[], T]) -> T:
    """What the condition returns once that is true; fails when it is not in time."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"still {found!r}"
        time.sleep(0.01)
    return found
