"""Looking at the ledger as it stands: for an operator's status and for whoever wants to see the events."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from keyledger.domain.events import Event
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.rows import named


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and sizes; `outbox` is how many events have no position yet."""

    server_version: str
    database: str
    schema_version: int
    api_keys: int
    revoked: int
    outbox: int
    last_flush_at: datetime | None
    events_bytes: int


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the events table, with what its state says."""

    version: int
    topic: str
    recorded_at: datetime
    state: bytes
    event: Event


def status(database: Database) -> StoreStatus:
    """What an operator asks first."""
    row = database.run(lambda connection: connection.execute(QUERIES["status"]).fetchone())
    assert row is not None
    found = StoreStatus(**named(StoreStatus, row))
    return msgspec.structs.replace(
        found, last_flush_at=found.last_flush_at and found.last_flush_at.astimezone(UTC)
    )


def ping(database: Database) -> None:
    """Return once PostgreSQL has answered. Raises LedgerUnavailable."""
    database.run(lambda connection: connection.execute("SELECT 1").fetchone())


def event_rows(database: Database, codec: EventCodec, key_id: UUID) -> tuple[EventRow, ...]:
    """A key's events as they stand in the table, oldest first. Raises UnreadableEvent."""
    rows = database.run(
        lambda connection: connection.execute(QUERIES["show_events"], {"id": key_id}, binary=True).fetchall()
    )
    return tuple(
        EventRow(
            version=version, topic=topic, recorded_at=recorded_at, state=state, event=codec.decode(topic, state)
        )
        for version, topic, recorded_at, state in rows
    )
