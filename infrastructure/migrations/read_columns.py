"""The columns that replay finds events by, for events that were stored before there were any (migration 0015)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg import ServerCursor

from keyledger.domain.events import Event, KeyCreated, KeyUpdated, KeyUsed
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection

_BATCH = 2_000
_STORED = """
SELECT originator_id, originator_version, topic, state FROM keyledger.events
ORDER BY originator_id, originator_version
"""
_TABLE = """
CREATE TEMPORARY TABLE read_columns (
    originator_id uuid, originator_version bigint,
    subject text, expiration timestamptz, last_used_at timestamptz, lateness interval
) ON COMMIT DROP
"""
_WRITE = (
    "ANALYZE read_columns",
    "ALTER TABLE keyledger.events DISABLE TRIGGER events_refuse_change",
    """
    UPDATE keyledger.events AS e
    SET subject = c.subject, expiration = c.expiration, last_used_at = c.last_used_at, lateness = c.lateness
    FROM read_columns AS c
    WHERE e.originator_id = c.originator_id AND e.originator_version = c.originator_version
    """,
    "ALTER TABLE keyledger.events ENABLE TRIGGER events_refuse_change",
)


class ReadColumns(NamedTuple):
    """What an event's row says beside its state; see the migration."""

    subject: str | None = None
    expiration: datetime | None = None
    last_used_at: datetime | None = None
    lateness: timedelta | None = None

    def after(self, event: Event) -> "ReadColumns":
        """Those of the next event of the stream."""
        if isinstance(event, KeyUsed):
            return self._used([use.occurred_at for use in event.uses if use.outcome == "valid"])
        subject = expiration = None
        if isinstance(event, KeyCreated):
            subject, expiration = event.subject, event.expiration
        elif isinstance(event, KeyUpdated):
            subject, expiration = event.changes.subject or None, event.changes.expiration or None
        return self._replace(subject=subject, expiration=expiration)

    def _used(self, moments: list[datetime]) -> "ReadColumns":
        last, late = self.last_used_at, self.lateness or timedelta(0)
        if moments:
            late = max(late, last - min(moments)) if last else late
            last = max([*moments, last] if last else moments)
        return ReadColumns(last_used_at=last, lateness=late)


def fill(connection: DeadlineConnection) -> None:
    """Fill them, in the migration's transaction, which is the one time that events' rows change.

    Raises UnreadableEvent.
    """
    connection.execute(_TABLE)
    with ServerCursor(connection, "keyledger_stored") as stored:
        stored.execute(_STORED, binary=True)
        found = _found(stored)
        while batch := [row for row, _ in zip(found, range(_BATCH), strict=False)]:
            with connection.cursor() as cursor, cursor.copy("COPY read_columns FROM STDIN") as copy:
                for row in batch:
                    copy.write_row(row)
    for statement in _WRITE:
        connection.execute(statement)


def _found(stored: "ServerCursor[tuple[UUID, int, str, bytes]]") -> Iterator[tuple[object, ...]]:
    codec, current, columns = EventCodec(), None, ReadColumns()
    while rows := stored.fetchmany(_BATCH):
        for key_id, version, topic, state in rows:
            before = columns if key_id == current else ReadColumns()
            current, columns = key_id, before.after(codec.decode(topic, state))
            yield key_id, version, *columns
