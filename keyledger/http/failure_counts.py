"""How often secrets of a source were refused lately, in a table of a fixed size."""

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address

from keyledger.forwarded import parse

SPAN_SECONDS = 60.0

_HOST_BITS = 64


class Failures:
    """Counts by source in spans of a minute; the one whose last failure is the oldest makes room for a new one."""

    def __init__(self, limit: int, sources: int, clock: Callable[[], float]) -> None:
        """limit: so many in a span; 0 for no limit."""
        self._limit = limit
        self._sources = sources
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def count(self, source: str) -> int | None:
        """Take note of one more; the seconds to wait where that is too many, else None.

        An IPv6 address counts as its network of 64 bits, all of which one client may have.
        """
        if not self._limit:
            return None
        now, source = self._clock(), _network(source)
        began, count = self._found.pop(source, (now, 0))
        if now - began >= SPAN_SECONDS:
            began, count = now, 0
        self._found[source] = began, count + 1
        if len(self._found) > self._sources:
            self._found.popitem(last=False)
        return max(1, math.ceil(began + SPAN_SECONDS - now)) if count >= self._limit else None


def _network(source: str) -> str:
    address = parse(source)
    if not isinstance(address, IPv6Address):
        return source
    return f"{IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS)}/{128 - _HOST_BITS}"
