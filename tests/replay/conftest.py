"""Replay on a database, without the worker and the read models of a ledger."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from support.histories import START, Recorded, store

from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.replay import Replay

_EMPTY = (
    "SET session_replication_role = replica",
    *(f"DELETE FROM keyledger.{table}" for table in ("events", "outbox", "positions")),
    "UPDATE keyledger.sequencer SET position = 0, epoch = 0, holder = NULL, held_until = NULL",
)


@pytest.fixture
def replay(database: Database) -> Replay:
    """Of events alone, a day after the histories began."""

    def get(_: str) -> None:
        raise AssertionError("a key of the past was reloaded")

    return Replay(database, EventCodec(), get, flush=lambda: None, clock=lambda: START + timedelta(days=1))


@pytest.fixture
def tell(dsn: str, database: Database) -> Iterator[Callable[[list[Recorded]], None]]:
    """Has a history, and no other, in the tables, with positions."""
    with psycopg.connect(dsn, autocommit=True) as connection:

        def told(history: list[Recorded]) -> None:
            for statement in _EMPTY:
                connection.execute(statement.encode())
            store(dsn, history)
            assert Sequencer(database).catch_up() == len(history)

        yield told
