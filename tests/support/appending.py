"""Events appended to streams of their own, beside any ledger, as quickly as can be."""

from uuid import UUID, uuid4

import psycopg

from keyledger.infrastructure.queries import QUERIES

TOPIC = "KeyUpdated"


def append(connection: psycopg.Connection, *places: tuple[UUID, int]) -> None:
    """Append an event at each of these streams' versions, in the transaction that is open, if one is."""
    rows = {
        "ids": [stream for stream, _ in places],
        "versions": [version for _, version in places],
        "topics": [TOPIC] * len(places),
        "states": [b""] * len(places),
    }
    connection.execute(QUERIES["append_events"].encode(), rows)


def append_new(connection: psycopg.Connection, number: int = 1) -> list[UUID]:
    """Append the first events of so many new streams."""
    streams = [uuid4() for _ in range(number)]
    append(connection, *((stream, 1) for stream in streams))
    return streams
