"""The clock that leases are counted by."""

import math
import time
from collections.abc import Callable
from functools import partial

Clock = Callable[[], float]
"""Seconds since some moment, never set back."""

# Linux stops its monotonic clock while the machine is suspended, and a lease must not outlast that.
monotonic: Clock = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)


def wait_out(seconds: float, clock: Clock, began: float) -> None:
    """Return when a whole number of such times have passed: how long anything took since `began` does not show."""
    if not seconds:
        return
    until = began + math.ceil((clock() - began) / seconds) * seconds
    while clock() < until:
        pass
