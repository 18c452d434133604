"""Reading the events by position, which is how everything downstream of the ledger reads them."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from keyledger.domain.errors import UnreadableEvent
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.sequenced import SequencedEvent

BATCH_EVENTS = 2_000
BATCH_BYTES = 8_000_000


class SequencedRow(NamedTuple):
    """An event as it is stored, in the order of the columns that select_positions.sql returns."""

    position: int
    originator_id: UUID
    originator_version: int
    recorded_at: datetime
    topic: str
    state: bytes


def read(database: Database, after: int, limit: int = BATCH_EVENTS) -> list[SequencedRow]:
    """The next events after a position, up to the first position that is missing; empty at the head."""
    return database.run(lambda connection: select(connection, after, limit))


def select(connection: DeadlineConnection, after: int, limit: int = BATCH_EVENTS) -> list[SequencedRow]:
    """The same within a transaction."""
    parameters = {"after": after, "limit": limit, "bytes": BATCH_BYTES}
    rows = connection.execute(QUERIES["select_positions"], parameters, binary=True).fetchall()
    found = [SequencedRow(*row) for row in rows]
    dense = next((place for place, row in enumerate(found) if row.position != after + 1 + place), len(found))
    return found[:dense]


def decoded(codec: EventCodec, rows: list[SequencedRow]) -> Iterator[SequencedEvent]:
    """The events of rows. Raises UnreadableEvent, with the position, at the one that cannot be read."""
    for row in rows:
        try:
            event = codec.decode(row.topic, row.state)
        except UnreadableEvent as error:
            raise UnreadableEvent(f"position {row.position}: {error}") from None
        yield SequencedEvent(
            position=row.position,
            originator_id=row.originator_id,
            originator_version=row.originator_version,
            recorded_at=row.recorded_at,
            event=event,
        )
