"""A dict with a limit, which forgets what was not used lately."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Generations(Generic[K, V]):
    """Two generations: what is used moves into the recent one; what is forgotten is the oldest of the older one.

    A use of what is recent changes nothing, so it costs no more than a look into a dict, which is always the one
    in the list `recent`; the price is that what is in use may be forgotten when a generation begins, and has to be
    read again. One entry is forgotten at a time, so no call pays for many. Callers hold a lock for all but such a
    look.
    """

    __slots__ = ("_limit", "_older", "_oldest_last", "recent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.recent: list[dict[K, V]] = [{}]
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.recent[0] = {}
        self._older: dict[K, V] = {}
        self._oldest_last: list[K] = []

    def __len__(self) -> int:
        return len(self.recent[0]) + len(self._older)

    def get(self, key: K) -> V | None:
        """The value, which is recent from now on."""
        value = self.recent[0].get(key)
        if value is None:
            value = self._older.pop(key, None)
            if value is not None:
                self.recent[0][key] = value
        return value

    def put(self, key: K, value: V) -> V | None:
        """Keep a value; returns the one that is forgotten for it."""
        self._older.pop(key, None)
        forgotten = self._forget() if key not in self.recent[0] and len(self) >= self._limit else None
        self.recent[0][key] = value
        return forgotten

    def pop(self, key: K) -> V | None:
        """Forget the value, and return it."""
        value = self.recent[0].pop(key, None)
        return self._older.pop(key, None) if value is None else value

    def _forget(self) -> V | None:
        if not self._older:
            self._older, self.recent[0] = self.recent[0], {}
            self._oldest_last = list(self._older)
            self._oldest_last.reverse()
        while True:  # those that were used or dropped meanwhile are not there any more
            value = self._older.pop(self._oldest_last.pop(), None)
            if value is not None:
                return value
