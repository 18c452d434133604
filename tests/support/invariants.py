"""What must hold in the tables after any fault, and the events as they are stored."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import psycopg
from support import history_rows, usage_rows
from support.sequencing import assert_sequenced, catch_up

from keyledger.domain.api_key import project
from keyledger.domain.events import KeyCreated, KeyUpdated, KeyUsed, StoredEvent, UsesLost
from keyledger.domain.ids import key_id_text, parse_key_id
from keyledger.infrastructure.codec import EventCodec
from keyledger.projections import control
from keyledger.projections.control import ControlRow

Streams = dict[UUID, list[StoredEvent]]
Mark = tuple[str | None, datetime | None]


def streams(connection: psycopg.Connection) -> Streams:
    """Every stored event, by stream, in the order of its version."""
    codec = EventCodec()
    found: Streams = {}
    query = """
        SELECT originator_id, originator_version, topic, state FROM keyledger.events
        ORDER BY originator_id, originator_version
    """
    for key_id, version, topic, state in connection.execute(query):
        event = StoredEvent(
            originator_id=key_id, originator_version=version, event=codec.decode(topic, bytes(state))
        )
        found.setdefault(key_id, []).append(event)
    return found


def topics(dsn: str, api_key_id: str) -> list[str]:
    """The topics of a key's events, oldest first."""
    with psycopg.connect(dsn) as connection:
        stream = streams(connection).get(parse_key_id(api_key_id), [])
    return [stored.event.topic for stored in stream]


def count_uses(dsn: str) -> int:
    """How many uses are stored, accepted or not."""
    with psycopg.connect(dsn) as connection:
        return sum(
            len(stored.event.columns)
            for stream in streams(connection).values()
            for stored in stream
            if isinstance(stored.event, KeyUsed)
        )


def accepted_uses(dsn: str) -> Counter[str | None]:
    """How often each accepted use, known by its request id, stands in the events."""
    with psycopg.connect(dsn) as connection:
        return Counter(
            use.use.request_id
            for stream in streams(connection).values()
            for stored in stream
            if isinstance(stored.event, KeyUsed)
            for use in stored.event.uses
            if use.outcome == "valid"
        )


def lost_uses(dsn: str) -> Counter[tuple[str, str]]:
    """How many uses are on record as lost, by key and cause."""
    found: Counter[tuple[str, str]] = Counter()
    with psycopg.connect(dsn) as connection:
        for key_id, stream in streams(connection).items():
            for stored in stream:
                if isinstance(stored.event, UsesLost):
                    found[key_id_text(key_id), stored.event.cause] += stored.event.count
    return found


def assert_consistent(dsn: str) -> None:
    """Events, their order, read models and idempotency keys agree, in one snapshot: nothing is half-written.

    Before it is taken, every event that is committed gets its position and into the read models.
    """
    catch_up(dsn)
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        found = streams(connection)
        _assert_streams_sound(found)
        assert_sequenced(connection)
        assert _read_columns(connection) == {key_id: _marks(stream) for key_id, stream in found.items()}
        assert _rows(connection) == {key_id: _folded(stream) for key_id, stream in found.items()}
        usage_rows.assert_folded(connection)
        history_rows.assert_told(connection, dsn)
        made = connection.execute("SELECT originator_id FROM keyledger.idempotency_keys").fetchall()
        assert {key_id for (key_id,) in made} <= found.keys()


def _assert_streams_sound(found: Streams) -> None:
    for key_id, stream in found.items():
        versions = [stored.originator_version for stored in stream]
        assert versions == list(range(1, len(stream) + 1)), f"{key_id} has a gap"
        counts = Counter(stored.event.topic for stored in stream)
        assert stream[0].event.topic == "KeyCreated"
        assert counts["KeyCreated"] == 1
        assert counts["KeyRevoked"] <= 1
    ids = Counter(stored.event.id for stream in found.values() for stored in stream)
    assert not [event_id for event_id, count in ids.items() if count > 1], "an event is stored twice"


def _rows(connection: psycopg.Connection) -> dict[UUID, ControlRow]:
    fields = ControlRow.__struct_fields__
    rows = connection.execute(f"SELECT {', '.join(fields)} FROM keyledger.api_keys".encode())
    return {row[0]: ControlRow(**dict(zip(fields, row, strict=True))) for row in rows}


def _folded(stream: Sequence[StoredEvent]) -> ControlRow:
    key = project(None, stream)
    assert key is not None
    return control.row(key)


def _read_columns(connection: psycopg.Connection) -> dict[UUID, list[Mark]]:
    """What the events' rows say beside their states, for replay to find."""
    query = """
        SELECT originator_id, subject, last_used_at FROM keyledger.events
        ORDER BY originator_id, originator_version
    """
    found: dict[UUID, list[Mark]] = {}
    for key_id, subject, last_used_at in connection.execute(query):
        found.setdefault(key_id, []).append((subject, last_used_at))
    return found


def _marks(stream: Sequence[StoredEvent]) -> list[Mark]:
    """What they must say: whose the event makes the key, and the latest accepted use up to it."""
    marks: list[Mark] = []
    last: datetime | None = None
    for event in (stored.event for stored in stream):
        subject: str | None = None
        if isinstance(event, KeyCreated):
            subject = event.subject
        elif isinstance(event, KeyUpdated):
            subject = event.changes.subject or None
        elif isinstance(event, KeyUsed):
            accepted = [use.occurred_at for use in event.uses if use.outcome == "valid"]
            last = max([*accepted, *([last] if last else [])], default=None)
        marks.append((subject, last))
    return marks
