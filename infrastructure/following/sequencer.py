"""The sequencer: gives each committed event a dense position, 1, 2, 3 …

One at a time holds the role, by a lease in the database's clock that a killed or stopped process lets run out.
That only saves work: what keeps positions dense and right is that each batch is one statement, which compares and
sets the head's epoch and position. One that was stopped and comes back finds another head, and writes nothing.
"""

import time
from collections.abc import Mapping
from uuid import uuid4

import msgspec
from psycopg.rows import TupleRow

from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.outbox_floor import OutboxFloor
from keyledger.infrastructure.queries import QUERIES

LEASE_SECONDS = 2.0
BATCH_EVENTS = 2_000

_POLL_SECONDS = 0.005
_POLITE_SECONDS = 0.025


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch is given on the condition of: the role's epoch, and the last position."""

    epoch: int
    position: int


class Sequencer:
    """Gives positions, while it holds the role. For one thread; `catch_up` needs no role."""

    def __init__(self, database: Database, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._holder = uuid4()
        self._head: Head | None = None
        self._renew_at = 0.0
        self._floor = OutboxFloor(database)
        self._last_arrival = 0

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
        head = self._head
        if head is None:
            row = self._one("claim_sequencer", {"holder": self._holder, "seconds": self._lease_seconds})
            self._head = None if row is None else Head(epoch=row[0], position=row[1])
            self._floor, self._last_arrival = OutboxFloor(self._database), 0
        elif now >= self._renew_at:
            row = self._one("renew_sequencer", {"epoch": head.epoch, "seconds": self._lease_seconds})
            self._head = None if row is None else Head(epoch=head.epoch, position=row[0])
        else:
            return True
        self._renew_at = now + self._lease_seconds / 2
        return self.holds_role

    def step(self, limit: int = BATCH_EVENTS) -> int:
        """Give positions to one batch; returns to how many events. Without the role, none.

        Raises LedgerUnavailable.
        """
        head = self._head
        if head is None:
            return 0
        self._floor.attend(self._last_arrival)
        if not self._waits(self._floor.arrival, None):
            return 0
        row = self._give(head, limit, floor=self._floor.arrival, seconds=self._lease_seconds)
        if row is None:
            # Another took the role, or caught up; or this batch was given, and the answer to it got lost.
            self._renew_at = 0.0
            return 0
        position, arrival = row
        if position is None:
            return 0
        self._head = Head(epoch=head.epoch, position=position)
        self._renew_at = time.monotonic() + self._lease_seconds / 2
        self._last_arrival = max(self._last_arrival, arrival)
        return int(position - head.position)

    def release(self) -> None:
        """Give the role away. Raises LedgerUnavailable."""
        head, self._head = self._head, None
        if head is not None:
            parameters = {"epoch": head.epoch}
            self._database.run(lambda connection: connection.execute(QUERIES["release_sequencer"], parameters))

    def catch_up(self) -> int:
        """Have every event that was committed before this call positioned, by whoever has the role, or else here.

        Returns the head's position after that. Raises LedgerUnavailable.
        """
        row = self._one("max_arrival", {})
        arrival = None if row is None else row[0]
        polite_until = time.monotonic() + _POLITE_SECONDS
        while arrival is not None and self._waits(0, arrival):
            head, is_held = self._ask_head()
            if is_held and time.monotonic() < polite_until:
                time.sleep(_POLL_SECONDS)
            else:  # the holder rests, or is gone; the role stays where it is
                self._give(head, BATCH_EVENTS, floor=0, seconds=None)
        return self.position()

    def help(self) -> None:
        """Give positions to one batch, without the role. Raises LedgerUnavailable."""
        self._give(self._ask_head()[0], BATCH_EVENTS, floor=0, seconds=None)

    def position(self) -> int:
        """The last position that was given. Raises LedgerUnavailable."""
        return self._ask_head()[0].position

    def _give(self, head: Head, limit: int, *, floor: int, seconds: float | None) -> tuple[int, int] | None:
        parameters = {
            "epoch": head.epoch,
            "position": head.position,
            "floor": floor,
            "limit": limit,
            "seconds": seconds,
        }
        row = self._one("sequence", parameters)
        return None if row is None else (row[0], row[1])

    def _ask_head(self) -> tuple[Head, bool]:
        row = self._one("sequencer_head", {})
        assert row is not None
        return Head(epoch=row[0], position=row[1]), row[2]

    def _waits(self, floor: int, arrival: int | None) -> bool:
        return self._one("outbox_waits", {"floor": floor, "arrival": arrival}) is not None

    def _one(self, query: str, parameters: Mapping[str, object]) -> TupleRow | None:
        statement = QUERIES[query]
        return self._database.run(lambda connection: connection.execute(statement, parameters).fetchone())
