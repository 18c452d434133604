"""Refused attempts on known keys: so many of a key in an interval are listed, the rest are counted."""

import threading
import time
from collections import Counter

_MOST_KEYS = 100_000


class RefusedAttempts:
    """Decides which attempts are listed, and counts those that are not, by their keys' numbers. Thread-safe."""

    def __init__(self, *, limit_per_key: int, interval_seconds: float) -> None:
        self._limit = limit_per_key
        self._interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._listed: Counter[int] = Counter()
        self._unlisted: Counter[int] = Counter()
        self.uncounted = 0
        """How many were neither listed nor counted by key, since there were too many keys."""

    def like(self) -> "RefusedAttempts":
        """Another one with the same limits."""
        return RefusedAttempts(limit_per_key=self._limit, interval_seconds=self._interval_seconds)

    def lists(self, number: int) -> bool:
        """Whether this attempt is to be listed; else it is counted here."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._until = now + self._interval_seconds
                self._listed.clear()
            if self._listed.get(number, 0) < self._limit and _has_room(self._listed, number):
                self._listed[number] += 1
                return True
        self.count(number)
        return False

    def count(self, number: int) -> None:
        """Count an attempt that is not listed."""
        with self._lock:
            if _has_room(self._unlisted, number):
                self._unlisted[number] += 1
            else:
                self.uncounted += 1

    @property
    def unlisted(self) -> bool:
        """Whether there are counts that were not taken."""
        return bool(self._unlisted)

    def take_unlisted(self) -> Counter[int]:
        """The counts since they were taken before."""
        with self._lock:
            taken, self._unlisted = self._unlisted, Counter()
        return taken

    def give_back(self, taken: Counter[int]) -> None:
        """Counts that were taken and are not stored."""
        with self._lock:
            self._unlisted.update(taken)


def _has_room(counts: Counter[int], number: int) -> bool:
    return len(counts) < _MOST_KEYS or number in counts
