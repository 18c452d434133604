"""eventsourcing's ProjectionRunner, which keeps the usage read model of keyledger's own events in PostgreSQL."""

import os
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

from keyledger.domain.events import KeyUsed
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.mapper import EventMapper
from keyledger.projections import usage
from keyledger.projections.sequenced import SequencedEvent
from keyledger.projections.usage import Usage
from scripts.benchmarks.mix import Appended

TABLE = "public.library_usage"

_PATIENCE_SECONDS = 600.0
_COUNT = f"""
INSERT INTO {TABLE} AS u (id, uses, first_used_at, last_used_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET
    uses = u.uses + excluded.uses,
    first_used_at = least(u.first_used_at, excluded.first_used_at),
    last_used_at = greatest(u.last_used_at, excluded.last_used_at)
"""


class LibraryLedger(Application[UUID]):
    """An application of the library's, whose events are keyledger's as keyledger stores them."""

    name = "ledger"

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper(EventCodec())


class UsageView(PostgresTrackingRecorder):
    """The rows, each changed in one transaction with the position, as the library's documentation has it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sql_create_statements.append(
            SQL(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (id uuid PRIMARY KEY, uses bigint, first_used_at timestamptz,"
                " last_used_at timestamptz)"
            )
        )

    def count(self, counted: Usage | None, tracking: Tracking) -> None:
        """Add what an event counts; None for one that counts nothing."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            if counted is not None:
                row = (counted.id, counted.uses, counted.first_used_at, counted.last_used_at)
                cursor.execute(_COUNT, row, prepare=True)


class UsageProjection(Projection[UsageView]):
    """The same fold, an event at a time."""

    name = "usage"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.count(_counted(domain_event), tracking)


def _counted(stored: Any) -> Usage | None:
    if not isinstance(stored.event, KeyUsed):
        return None
    sequenced = SequencedEvent(
        position=1,
        originator_id=stored.originator_id,
        originator_version=stored.originator_version,
        recorded_at=stored.event.occurred_at,
        event=stored.event,
    )
    return usage.counted([sequenced]).keys[stored.originator_id]


def seconds(dsn: str, events: Sequence[Appended]) -> float:
    """Append the events, and measure how long a runner takes to project them."""
    env = _environment(dsn)
    application = LibraryLedger(env)
    codec = EventCodec()
    try:
        notifications = application.recorder.insert_events(
            [StoredEvent(each.key_id, each.version, each.event.topic, codec.encode(each.event)) for each in events]
        )
    finally:
        application.close()
    assert notifications
    start = time.perf_counter()
    with ProjectionRunner(
        application_class=LibraryLedger, projection_class=UsageProjection, view_class=UsageView, env=env
    ) as runner:
        runner.wait(notifications[-1], timeout=_PATIENCE_SECONDS)
        return time.perf_counter() - start


def _environment(dsn: str) -> dict[str, str]:
    found = conninfo_to_dict(dsn)
    if "passfile" in found:  # which the library has no setting for
        os.environ["PGPASSFILE"] = str(found["passfile"])
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(found["dbname"]),
        "POSTGRES_HOST": str(found["host"]),
        "POSTGRES_PORT": str(found.get("port") or 5432),
        "POSTGRES_USER": str(found["user"]),
        "POSTGRES_PASSWORD": str(found.get("password") or ""),
        "POSTGRES_SCHEMA": "public",
    }
