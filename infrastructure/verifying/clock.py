"""The clock that leases are counted by."""

import math
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module

from keyledger.compiled import SWITCH

Clock = Callable[[], float]
"""Seconds since some moment, never set back."""

LITTLE = 0.1

_chance = random.Random(os.urandom(16)).random  # noqa: S311 - nobody sees what it gives; the system's takes longer


def _best() -> Clock:
    # Linux stops its monotonic clock while the machine is suspended, and a lease must not outlast that.
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return time.monotonic
    if not os.environ.get(SWITCH):
        with suppress(ImportError):  # it was not compiled
            return import_module("keyledger.infrastructure.verifying.boottime").boottime  # type: ignore[no-any-return]
    return partial(time.clock_gettime, time.CLOCK_BOOTTIME)


monotonic: Clock = _best()


def wait_out(seconds: float, clock: Clock, began: float) -> None:
    """Return when a whole number of such times have passed: how long what began then took does not show.

    And a little later, by chance: else it would show in which look at the clock is the last one.
    """
    if not seconds:
        return
    until = began + math.ceil((clock() - began) / seconds) * seconds + _chance() * seconds * LITTLE
    while clock() < until:
        pass
