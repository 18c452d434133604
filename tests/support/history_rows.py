"""The history as it is stored and as it is read, and as the events make it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

import psycopg
from support.sequencing import applied

from keyledger.audit import Audit
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import key_id_text
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.history_view import HistoryView
from keyledger.projections import history
from keyledger.projections.history import HistoryRow
from keyledger.projections.sequenced import SequencedEvent

_FIELDS = HistoryRow.__struct_fields__


class Line(NamedTuple):
    """What is checked of an entry; `about` is a use's outcome and request, or how many were only counted."""

    position: int
    index: int
    event_id: str
    event_type: str
    api_key_id: str
    occurred_at: datetime
    about: object = None


def assert_told(connection: psycopg.Connection, dsn: str) -> None:
    """The rows are what the events make in one go; every event is an entry, and every use one of its own."""
    events = list(applied(connection, "history"))
    rows = connection.execute(f"SELECT {', '.join(_FIELDS)} FROM keyledger.history ORDER BY position".encode())
    stored = [HistoryRow(**dict(zip(_FIELDS, row, strict=True))) for row in rows]
    assert stored == history.fold({}, None, events)
    expected = [line for event in events for line in _lines(event)]
    assert [line for line in _told(dsn) if line.position <= len(events)] == expected


def _lines(sequenced: SequencedEvent) -> Iterator[Line]:
    event, key_id = sequenced.event, key_id_text(sequenced.originator_id)
    told: list[tuple[datetime, object]] = [(event.occurred_at, None)]
    if isinstance(event, KeyUsed):
        told = [(use.occurred_at, (use.outcome, use.use.path, use.use.request_id)) for use in event.uses]
        if event.refused_unlisted:
            told.append((event.occurred_at, event.refused_unlisted))
    for index, (moment, about) in enumerate(told):
        yield Line(sequenced.position, index, str(event.id), event.topic, key_id, moment, about)


def _told(dsn: str) -> Iterator[Line]:
    """What the history tells of all events, as a caller reads it."""
    with closing(Database(dsn, timeout_seconds=30.0)) as database:
        for entry in Audit(HistoryView(database, EventCodec()), lambda: None).export():
            place = entry.position, entry.index, entry.event_id, entry.event_type, entry.api_key_id
            details = entry.details
            about = details.get("refused_unlisted")
            if "outcome" in details:
                about = details["outcome"], details["path"], details["request_id"]
            yield Line(*place, entry.occurred_at, about)
