"""The order of the events as it stands in the tables, and what must hold of it at any moment."""

from collections.abc import Iterator

import psycopg

from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.projections.sequenced import SequencedEvent

_KEY = "originator_id, originator_version"
_FAULTS = {
    "an event has neither a position nor a place in the outbox": f"""
        SELECT {_KEY} FROM keyledger.events
        EXCEPT (SELECT {_KEY} FROM keyledger.outbox UNION ALL SELECT {_KEY} FROM keyledger.positions)
    """,
    "a position or a place in the outbox belongs to no event": f"""
        (SELECT {_KEY} FROM keyledger.outbox UNION ALL SELECT {_KEY} FROM keyledger.positions)
        EXCEPT SELECT {_KEY} FROM keyledger.events
    """,
    "an event has two positions, or one and a place in the outbox": f"""
        SELECT {_KEY} FROM (
            SELECT {_KEY} FROM keyledger.outbox UNION ALL SELECT {_KEY} FROM keyledger.positions
        ) AS placed
        GROUP BY {_KEY} HAVING count(*) > 1
    """,
    "positions are not 1 to n, with n the sequencer's": """
        SELECT * FROM keyledger.sequencer AS s CROSS JOIN (
            SELECT count(*) AS given, coalesce(min(position), 1) AS first, coalesce(max(position), 0) AS last
            FROM keyledger.positions
        ) AS p
        WHERE (p.given, p.first, p.last) <> (s.position, 1, s.position)
    """,
    "a key's events are not in the order of their versions": """
        SELECT * FROM (
            SELECT position, originator_id, originator_version,
                row_number() OVER (PARTITION BY originator_id ORDER BY position) AS place
            FROM keyledger.positions
        ) AS placed
        WHERE place <> originator_version
    """,
    "a position says something else than its event": """
        SELECT * FROM keyledger.positions AS p JOIN keyledger.events AS e USING (originator_id, originator_version)
        WHERE (p.topic, p.subject, p.recorded_at) IS DISTINCT FROM (e.topic, e.subject, e.recorded_at)
    """,
}


def assert_sequenced(connection: psycopg.Connection) -> None:
    """Outbox and positions hold each event once; positions are dense, and keep each key's order."""
    for fault, query in _FAULTS.items():
        found = connection.execute(f"{query} LIMIT 3".encode()).fetchall()
        assert not found, f"{fault}: {found}"


def positioned(dsn: str) -> int:
    """How many events have a position, given that everything is in order."""
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert_sequenced(connection)
        return head(connection)


def applied(connection: psycopg.Connection, read_model: str) -> Iterator[SequencedEvent]:
    """The events that a read model has come to, by position."""
    query = """
        SELECT p.position, e.originator_id, e.originator_version, e.recorded_at, e.topic, e.state
        FROM keyledger.positions AS p JOIN keyledger.events AS e USING (originator_id, originator_version)
        WHERE p.position <= (SELECT position FROM keyledger.projections WHERE name = %s)
        ORDER BY p.position
    """
    codec = EventCodec()
    for position, key_id, version, recorded_at, topic, state in connection.execute(query, [read_model]):
        yield SequencedEvent(
            position=position,
            originator_id=key_id,
            originator_version=version,
            recorded_at=recorded_at,
            event=codec.decode(topic, bytes(state)),
        )


def head(connection: psycopg.Connection) -> int:
    """The last position that was given."""
    ((position,),) = connection.execute("SELECT position FROM keyledger.sequencer").fetchall()
    return int(position)


def catch_up(dsn: str) -> int:
    """Have every event that is committed positioned and in every read model; returns the position."""
    database = Database(dsn, timeout_seconds=30.0)
    try:
        position = Sequencer(database).catch_up()
        runner = Runner(database, EventCodec(), READ_MODELS)
        runner.catch_up(position, *(model.name for model in READ_MODELS))
    finally:
        database.close()
    return position
