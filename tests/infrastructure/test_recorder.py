"""eventsourcing's own test cases, run against our recorder."""

from collections.abc import Callable
from typing import ClassVar
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import NotSupportedError, StoredEvent
from eventsourcing.tests.persistence import AggregateRecorderTestCase, ApplicationRecorderTestCase

from keyledger.infrastructure.database import Database
from keyledger.infrastructure.recorder import EventRecorder, LifecycleRecorder


class OnOurDatabase:
    """Gives the library's test cases a recorder on a database of its own, whose arrivals begin at 1."""

    new_database: ClassVar[Callable[[], str]]

    @pytest.fixture(autouse=True)
    def _database(self, new_database: Callable[[], str]) -> None:
        self.dsn = new_database()

    def create_recorder(self) -> EventRecorder:
        self.recorder = EventRecorder(Database(self.dsn))
        return self.recorder

    def tearDown(self) -> None:
        self.recorder._database.close()


class AsAggregateRecorder(EventRecorder):
    """An aggregate recorder gives no notification ids; the test case looks for None."""

    def insert_events(self, stored_events: list[StoredEvent], **kwargs: object) -> None:  # type: ignore[override]
        super().insert_events(stored_events, **kwargs)


class TestAggregateRecorder(OnOurDatabase, AggregateRecorderTestCase):
    """All of the library's cases for a recorder of streams."""

    def create_recorder(self) -> EventRecorder:
        self.recorder = AsAggregateRecorder(Database(self.dsn))
        return self.recorder


class TestApplicationRecorder(OnOurDatabase, ApplicationRecorderTestCase[EventRecorder]):
    """All of the library's cases for a recorder of an application.

    Deliberately left out: `optional_test_insert_subscribe`. A subscription rests on the promise of the table lock
    that ids become visible in their order, and we take no lock; see the next test.
    """


def test_without_the_lock_an_arrival_may_become_visible_after_a_later_one(dsn: str, database: Database) -> None:
    recorder = EventRecorder(database)
    with psycopg.connect(dsn) as slow:
        slow.execute(
            "WITH e AS (INSERT INTO keyledger.events VALUES (gen_random_uuid(), 1, 'slow', '') RETURNING *)"
            " INSERT INTO keyledger.outbox (originator_id, originator_version, topic)"
            " SELECT originator_id, originator_version, topic FROM e"
        )
        event = StoredEvent(originator_id=uuid4(), originator_version=1, topic="quick", state=b"")
        recorder.insert_events([event])  # it did not wait for the open transaction
        seen = [notification.topic for notification in recorder.select_notifications(None, 10)]
        assert seen == ["quick"]
        slow.commit()
    seen = [notification.topic for notification in recorder.select_notifications(None, 10)]
    assert seen == ["slow", "quick"]


def test_a_subscription_is_refused_because_it_would_miss_events(database: Database) -> None:
    with pytest.raises(NotSupportedError, match="no positions"):
        EventRecorder(database).subscribe(gt=0)


def test_the_lifecycle_recorder_passes_over_uses(database: Database) -> None:
    key_id, topics = uuid4(), ["KeyUpdated", "KeyUsed", "KeyUsed", "KeyUpdated", "KeyUsed", "KeyRevoked"]
    EventRecorder(database).insert_events(
        [StoredEvent(key_id, version, topic, b"") for version, topic in enumerate(topics, start=1)]
    )
    found = LifecycleRecorder(database).select_events(key_id)
    assert [event.originator_version for event in found] == [1, 4, 6]
