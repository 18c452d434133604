"""What the specification of the public API stands on: keys with plain defaults, and the tables as they are."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import psycopg
import pytest
from support import waiting
from support.key_writer import KeyWriter
from support.proxy import Proxy

from keyledger import APIKey, KeyLedger, Settings
from keyledger.domain.events import Event, KeyUsed
from keyledger.domain.ids import key_id_text
from keyledger.domain.use import RecordedUse
from keyledger.infrastructure import key_view
from keyledger.infrastructure.codec import EventCodec
from keyledger.projections import listing

T = TypeVar("T")

WRITTEN = ("events", "api_keys", "idempotency_keys", "flushes")


@pytest.fixture
def create(ledger: KeyLedger) -> Callable[..., APIKey]:
    """Creates a key, of which a test names only what it is about."""

    def created(**arguments: Any) -> APIKey:
        return ledger.api_keys.create(**{"name": "a key", "subject": "user_1", **arguments})

    return created


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Waits until a condition returns something true, and returns that."""
    return waiting.eventually


@pytest.fixture(scope="session")
def inspector(worker_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection beside the ledgers', to look at the tables with."""
    with psycopg.connect(worker_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def events(inspector: psycopg.Connection[Any]) -> Callable[..., list[Event]]:
    """Reads a key's events out of the table, oldest first; with no key, everybody's."""
    codec = EventCodec()

    def read(key: APIKey | None = None, kind: type[Event] = Event) -> list[Event]:
        rows = inspector.execute(
            "SELECT originator_id, topic, state FROM keyledger.events ORDER BY originator_id, originator_version"
        ).fetchall()
        found = [codec.decode(topic, state) for id_, topic, state in rows if not key or key_id_text(id_) == key.id]
        return [event for event in found if isinstance(event, kind)]

    return read


@pytest.fixture
def uses(events: Callable[..., list[KeyUsed]]) -> Callable[..., list[RecordedUse]]:
    """Reads every use of a key out of its events."""

    def read(key: APIKey) -> list[RecordedUse]:
        return [use for event in events(key, KeyUsed) for use in event.uses]

    return read


@pytest.fixture
def nothing_written(inspector: psycopg.Connection[Any]) -> Callable[[], AbstractContextManager[None]]:
    """Asserts that what happens within leaves every table as it was."""

    def state() -> list[Any]:
        return [
            inspector.execute(f"SELECT * FROM keyledger.{table} ORDER BY 1, 2").fetchall() for table in WRITTEN
        ]

    @contextmanager
    def unchanged() -> Iterator[None]:
        before = state()
        yield
        assert state() == before

    return unchanged


@pytest.fixture
def locked_keys(dsn: str) -> Callable[[], AbstractContextManager[None]]:
    """Makes PostgreSQL answer no question about any key while within."""

    @contextmanager
    def locked() -> Iterator[None]:
        with psycopg.connect(dsn) as connection:
            connection.execute("LOCK TABLE keyledger.api_keys IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()

    return locked


@pytest.fixture
def waiting_sessions(inspector: psycopg.Connection[Any]) -> Callable[[], int]:
    """Counts the sessions of this database that wait for a lock."""

    def count() -> int:
        row = inspector.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    return count


@pytest.fixture(scope="session")
def settings_of_a_slow_flush() -> Settings:
    """Nothing happens by itself: uses are stored and events numbered only when somebody asks for it."""
    return Settings(flush_interval_seconds=600, background_worker=False)


@pytest.fixture
def list_limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what counts as few keys, as a split bucket, and as too far behind."""

    def set_to(few_keys: int, leaf_keys: int, most_waiting: int) -> None:
        monkeypatch.setattr(listing, "LEAF_KEYS", leaf_keys)
        tree = {"few": few_keys, "leaf_keys": leaf_keys, "most_waiting": most_waiting}
        monkeypatch.setattr(key_view, "_TREE", {**key_view._TREE, **tree})

    return set_to


@pytest.fixture
def make_writer(dsn: str) -> Iterator[Callable[[int], KeyWriter]]:
    """Makes writers of keys, each with a chance of its own."""
    made: list[KeyWriter] = []

    def new(seed: int) -> KeyWriter:
        made.append(KeyWriter(dsn, random.Random(seed)))
        return made[-1]

    yield new
    for writer in made:
        writer.database.close()


@pytest.fixture
def other(open_ledger: Callable[..., KeyLedger]) -> KeyLedger:
    """Another process, as far as memory goes."""
    return open_ledger()


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    proxy = Proxy(dsn)
    yield proxy
    proxy.close()
