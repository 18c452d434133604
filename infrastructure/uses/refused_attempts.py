"""Refused attempts on known keys: so many of a key in an interval are listed, the rest are counted."""

import threading
import time
from collections import Counter
from uuid import UUID

_MOST_KEYS = 100_000


class RefusedAttempts:
    """Decides which attempts are listed, and counts those that are not. Thread-safe."""

    def __init__(self, *, limit_per_key: int, interval_seconds: float) -> None:
        self._limit = limit_per_key
        self._interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._listed: Counter[UUID] = Counter()
        self._unlisted: Counter[UUID] = Counter()
        self.uncounted = 0
        """How many were neither listed nor counted by key, since there were too many keys."""

    def lists(self, key_id: UUID) -> bool:
        """Whether this attempt is to be listed; else it is counted here."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._until = now + self._interval_seconds
                self._listed.clear()
            if self._listed.get(key_id, 0) < self._limit and _has_room(self._listed, key_id):
                self._listed[key_id] += 1
                return True
        self.count(key_id)
        return False

    def count(self, key_id: UUID) -> None:
        """Count an attempt that is not listed."""
        with self._lock:
            if _has_room(self._unlisted, key_id):
                self._unlisted[key_id] += 1
            else:
                self.uncounted += 1

    @property
    def unlisted(self) -> bool:
        """Whether there are counts that were not taken."""
        return bool(self._unlisted)

    def take_unlisted(self) -> Counter[UUID]:
        """The counts since they were taken before."""
        with self._lock:
            taken, self._unlisted = self._unlisted, Counter()
        return taken

    def give_back(self, taken: Counter[UUID]) -> None:
        """Counts that were taken and are not stored."""
        with self._lock:
            self._unlisted.update(taken)


def _has_room(counts: Counter[UUID], key_id: UUID) -> bool:
    return len(counts) < _MOST_KEYS or key_id in counts
