"""How far the order of the events and the read models have come."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.rows import named


class SequencerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The sequencer: the last position given, and how many events wait for theirs.

    held: whether somebody has the role now; holder and held_until: who had it last, and until when that holds;
    epoch: how often it changed hands.
    """

    position: int
    epoch: int
    holder: UUID | None
    held: bool
    held_until: datetime | None
    waiting: int


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A read model that the runner keeps.

    lag_events: committed events that it lacks; lag_seconds: for how long it has lacked the first of them, 0 where
    it lacks none. failed_position: the event before which it has stopped, since `failed_at` and for the reason
    `failure`; all None while it goes on. rebuilding: the position of a rebuild under way, or of one broken off.
    """

    name: str
    version: int
    position: int
    lag_events: int
    lag_seconds: float
    failed_position: int | None
    failed_at: datetime | None
    failure: str | None
    rebuilding: int | None

    @property
    def stopped(self) -> bool:
        """Whether an event has stopped it."""
        return self.failed_position is not None


def sequencer(database: Database) -> SequencerStatus:
    """How the sequencer is doing."""
    row = database.run(lambda connection: connection.execute(QUERIES["sequencer_status"]).fetchone())
    assert row is not None
    return SequencerStatus(**_in_utc(SequencerStatus, row))


def projections(database: Database) -> tuple[ProjectionStatus, ...]:
    """How the read models are doing, by name."""

    def ask(connection: DeadlineConnection) -> list[Any]:
        return connection.execute(QUERIES["projections_status"]).fetchall()

    return tuple(ProjectionStatus(**_in_utc(ProjectionStatus, row)) for row in database.run(ask))


def _in_utc(kind: type[msgspec.Struct], row: Any) -> dict[str, Any]:
    return named(kind, [value.astimezone(UTC) if isinstance(value, datetime) else value for value in row])
