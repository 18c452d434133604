"""The sequencer: gives each committed event a dense position, 1, 2, 3 …

One at a time holds the role, by a lease in the database's clock that a killed or stopped process lets run out.
That only saves work: what keeps positions dense and right is that each batch is one statement, which compares and
sets the head's epoch and position. One that was stopped and comes back finds another epoch, and writes nothing.
"""

import time
from collections.abc import Mapping
from uuid import uuid4

import msgspec
from psycopg.rows import TupleRow

from keyledger.domain.errors import LedgerUnavailable
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES

LEASE_SECONDS = 2.0
BATCH_EVENTS = 2_000

_POLL_SECONDS = 0.005


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the holder of the role knows: its epoch, and the last position that was given."""

    epoch: int
    position: int


class Sequencer:
    """Gives positions, while it holds the role."""

    def __init__(self, database: Database, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._holder = uuid4()
        self._head: Head | None = None
        self._renew_at = 0.0

    @property
    def holds_role(self) -> bool:
        """Whether this one had the role when it last asked."""
        return self._head is not None

    @property
    def head(self) -> int:
        """The last position that was given, as far as this one knows; 0 without the role."""
        return 0 if self._head is None else self._head.position

    def claim(self) -> bool:
        """Take the role if nobody holds it, or keep it. Raises LedgerUnavailable."""
        now = time.monotonic()
        if self._head is None:
            row = self._one("claim_sequencer", {"holder": self._holder, "seconds": self._lease_seconds})
            self._head = None if row is None else Head(epoch=row[0], position=row[1])
        elif now >= self._renew_at:
            row = self._one("renew_sequencer", {"epoch": self._head.epoch, "seconds": self._lease_seconds})
            self._head = None if row is None else Head(epoch=self._head.epoch, position=row[0])
        else:
            return True
        self._renew_at = now + self._lease_seconds / 4
        return self.holds_role

    def step(self, limit: int = BATCH_EVENTS) -> int:
        """Give positions to one batch; returns to how many events. Without the role, none."""
        if self._head is None or not self._waits(None):
            return 0
        parameters = {
            "epoch": self._head.epoch,
            "position": self._head.position,
            "limit": limit,
            "seconds": self._lease_seconds,
        }
        row = self._one("sequence", parameters)
        if row is None:
            # Another took the role; or this batch was given, and the answer to it got lost.
            self._head, self._renew_at = None, 0.0
            return 0
        if row[0] is None:
            return 0
        given = row[0] - self._head.position
        self._head = Head(epoch=self._head.epoch, position=row[0])
        self._renew_at = time.monotonic() + self._lease_seconds / 4
        return int(given)

    def release(self) -> None:
        """Give the role away."""
        if self._head is not None:
            parameters = {"epoch": self._head.epoch}
            self._head = None
            self._database.run(lambda connection: connection.execute(QUERIES["release_sequencer"], parameters))

    def catch_up(self) -> int:
        """Have every event that was committed before this call positioned, by whoever has the role.

        Returns the head's position after that. Raises LedgerUnavailable where none is given for a whole time-out.
        """
        row = self._one("max_arrival", {})
        arrival = None if row is None else row[0]
        position, deadline = self.position(), time.monotonic() + self._database.timeout_seconds
        try:
            while arrival is not None and self._waits(arrival):
                if not (self.claim() and self.step()):
                    time.sleep(_POLL_SECONDS)
                before, position = position, self.position()
                if position > before:
                    deadline = time.monotonic() + self._database.timeout_seconds
                elif time.monotonic() >= deadline:
                    raise LedgerUnavailable("whoever gives the events their positions does not answer")
        finally:
            self.release()
        return self.position()

    def position(self) -> int:
        """The last position that was given."""
        row = self._one("sequencer_position", {})
        assert row is not None
        return int(row[0])

    def _waits(self, arrival: int | None) -> bool:
        row = self._one("outbox_waits", {"arrival": arrival})
        return bool(row and row[0])

    def _one(self, query: str, parameters: Mapping[str, object]) -> TupleRow | None:
        statement = QUERIES[query]
        return self._database.run(lambda connection: connection.execute(statement, parameters).fetchone())
