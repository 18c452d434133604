"""How often secrets of a source were refused lately, in a table of a fixed size."""

import math
from collections import OrderedDict
from collections.abc import Callable

SPAN_SECONDS = 60.0


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
        """Take note of one more; the seconds to wait where that is too many, else None."""
        if not self._limit:
            return None
        now = self._clock()
        began, count = self._found.pop(source, (now, 0))
        if now - began >= SPAN_SECONDS:
            began, count = now, 0
        self._found[source] = began, count + 1
        if len(self._found) > self._sources:
            self._found.popitem(last=False)
        return max(1, math.ceil(began + SPAN_SECONDS - now)) if count >= self._limit else None
