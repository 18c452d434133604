"""The arrival up to which the outbox is empty for good.

Polls and batches begin there. Where a long transaction, such as a backup, keeps the dead entries of the outbox
from being cleaned away, walking over all of them each time would cost more the longer it lasts.
"""

import time

from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES

_RAISE_SECONDS = 1.0
_FORGET_SECONDS = 60.0


class OutboxFloor:
    """Raised, now and then, to an arrival that no transaction can be behind any more.

    Arrivals are committed in any order, but once every transaction that was writing to the outbox at some moment
    has ended, what had arrived by then is there to be seen, or was rolled back.
    """

    def __init__(self, database: Database) -> None:
        self.arrival = 0
        self._database = database
        self._mark = 0
        self._writers: set[str] = set()
        self._raise_at = 0.0
        self._forget_at = time.monotonic() + _FORGET_SECONDS

    def attend(self, last: int) -> None:
        """Raise the floor if it is time to; `last` is an arrival that was committed. Raises LedgerUnavailable."""
        now = time.monotonic()
        if now >= self._forget_at:  # should it ever be wrong, an event comes late, and not never
            self.arrival, self._mark, self._forget_at = 0, 0, now + _FORGET_SECONDS
        if now < self._raise_at or last <= self.arrival:
            return
        self._raise_at = now + _RAISE_SECONDS
        writers = self._ask_writers()
        if self._mark > self.arrival:
            self._writers &= writers
            if self._writers or self._waits_below_mark():
                return
            self.arrival = self._mark
        self._mark, self._writers = last, writers

    def _ask_writers(self) -> set[str]:
        row = self._database.run(lambda connection: connection.execute(QUERIES["outbox_writers"]).fetchone())
        assert row is not None
        return set(row[0])

    def _waits_below_mark(self) -> bool:
        bounds = {"floor": self.arrival, "arrival": self._mark}
        return self._database.run(
            lambda connection: connection.execute(QUERIES["outbox_waits"], bounds).fetchone() is not None
        )
