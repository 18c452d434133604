"""eventsourcing's recorder on our pool, our tables and our rules.

What of the library's is not kept, and why: it locks the table and notifies in every commit, so that writers of
different keys wait for each other; it creates its tables at start-up; it tries a failed call up to ten times.
"""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

_levels = {name: logging.getLogger(name).level for name in ("psycopg", "psycopg.pool")}
from eventsourcing.persistence import (  # noqa: E402
    ApplicationRecorder,
    IntegrityError,
    Notification,
    NotSupportedError,
    StoredEvent,
    Subscription,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore  # noqa: E402

for _name, _level in _levels.items():  # importing the library silences these for the whole process
    logging.getLogger(_name).setLevel(_level)

from keyledger.infrastructure.connection import DeadlineConnection  # noqa: E402
from keyledger.infrastructure.database import Database  # noqa: E402
from keyledger.infrastructure.queries import QUERIES  # noqa: E402

_BEYOND = 2**63 - 1


class EventRecorder(PostgresApplicationRecorder):
    """Inserts and selects stored events; the only thing that decides between writers is the primary key.

    The ids it gives are arrivals in the outbox. With no table lock a lower one may be committed after a higher
    one, so they are no positions to follow: those are the sequencer's, and `subscribe` is refused.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(_Datastore(), events_table_name="events")
        self._database = database

    def create_table(self) -> None:
        """Nothing: the migrations make the tables."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        if not stored_events:
            return None
        rows = {
            "ids": [event.originator_id for event in stored_events],
            "versions": [event.originator_version for event in stored_events],
            "topics": [event.topic for event in stored_events],
            "states": [event.state for event in stored_events],
        }
        try:
            return self._database.run(
                lambda connection: [n for (n,) in connection.execute(QUERIES["append_events"], rows)]
            )
        except psycopg.IntegrityError as error:
            raise IntegrityError(str(error)) from error

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        return self._select(
            "select_events_desc" if desc else "select_events",
            originator_id,
            gt=-1 if gt is None else gt,
            lte=_BEYOND if lte is None else lte,
            limit=limit,
        )

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The events in the outbox by arrival, which may still be filled behind the last one."""
        bounds = {
            "start": (start or 0) + (not inclusive_of_start),
            "stop": _BEYOND if stop is None else stop,
            "topics": list(topics) or None,
            "limit": limit,
        }
        return self._database.run(
            lambda connection: [
                Notification(id=arrival, originator_id=key, originator_version=version, topic=topic, state=state)
                for arrival, key, version, topic, state in connection.execute(QUERIES["select_outbox"], bounds)
            ]
        )

    def max_notification_id(self) -> int | None:
        row = self._database.run(lambda connection: connection.execute(QUERIES["max_arrival"]).fetchone())
        return row[0] if row else None

    def subscribe(self, *_: Any, **__: Any) -> Subscription[ApplicationRecorder]:
        raise NotSupportedError("arrivals are no positions: a subscription to them would miss events")

    def _select(self, query: str, originator_id: UUID | str, **bounds: int | None) -> list[StoredEvent]:
        def select(connection: DeadlineConnection) -> list[StoredEvent]:
            rows = connection.execute(QUERIES[query], {"id": originator_id, **bounds}, binary=True)
            return [
                StoredEvent(originator_id=originator_id, originator_version=version, topic=topic, state=state)
                for version, topic, state in rows
            ]

        return self._database.run(select)


class LifecycleRecorder(EventRecorder):
    """Selects lifecycle events only: a key with a million uses loads as quickly as one with none."""

    def select_events(self, originator_id: UUID | str, **_: Any) -> Sequence[StoredEvent]:
        return self._select("load_lifecycle", originator_id)


class _Datastore(PostgresDatastore):
    """What the library's recorder asks of its datastore, without the library's pool."""

    def __init__(self) -> None:
        self.schema = "keyledger"
        self.originator_id_type = "uuid"
        self.lock_timeout = 0
        self.enable_db_functions = False
        self.db_type_names = set[str]()

    def register_type_adapters(self) -> None:
        """Nothing: we insert from arrays and need no composite type."""

    def close(self) -> None:
        """Nothing: the pool is the database's."""
