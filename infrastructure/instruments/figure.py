"""Figures: numbers that a part of the ledger can give at any time, for status and for metrics."""

from collections.abc import Callable
from typing import Literal

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number of this process. `read` gives it, quickly and from any thread; a counter's only grows.

    `unit` is UCUM's, as OpenTelemetry has it: `s`, `By`, or what is counted in braces.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    description: str
    read: Callable[[], float]

    @classmethod
    def counter(cls, name: str, unit: str, description: str, read: Callable[[], float]) -> "Figure":
        """A number that only grows."""
        return cls(name=name, kind="counter", unit=unit, description=description, read=read)

    @classmethod
    def gauge(cls, name: str, unit: str, description: str, read: Callable[[], float]) -> "Figure":
        """A number that comes and goes."""
        return cls(name=name, kind="gauge", unit=unit, description=description, read=read)
