"""The clock that leases are counted by."""

import time
from collections.abc import Callable
from functools import partial

Clock = Callable[[], float]
"""Seconds since some moment, never set back."""

# Linux stops its monotonic clock while the machine is suspended, and a lease must not outlast that.
monotonic: Clock = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
