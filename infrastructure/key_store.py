"""Keys as streams of events: load what a decision needs, decide, append at the head of the stream."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.application import AggregateNotFoundError, Repository
from eventsourcing.persistence import EventStore
from msgspec import UNSET
from psycopg.rows import TupleRow

from keyledger.domain.api_key import APIKey, evolve, project
from keyledger.domain.errors import IdempotencyConflict, KeyNotFound, LedgerUnavailable
from keyledger.domain.events import Event, KeyCreated, KeyDeleted, KeyRevoked, KeyUpdated, StoredEvent
from keyledger.domain.ids import key_id_text
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.instruments.traces import traced
from keyledger.infrastructure.key_view import KeyView
from keyledger.infrastructure.mapper import EventMapper
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.recorder import LifecycleRecorder
from keyledger.infrastructure.unique_names import take_name
from keyledger.projections import control
from keyledger.projections.control import ControlRow

T = TypeVar("T")

Decision = Callable[[APIKey], KeyUpdated | None]
"""What to record of an update, given the key as it is; called again when another writer came first."""


class KeyStore:
    """The write side. Everything that it appends is one transaction: event, control row and outbox entry."""

    def __init__(
        self,
        database: Database,
        codec: EventCodec,
        committed: Callable[[], None],
        *,
        unique_names: bool = False,
    ) -> None:
        """`committed` is told of each event that was appended.

        With `unique_names` no two live keys of a subject get the same name.
        """
        self._take_name = take_name if unique_names else _any_name
        self._database = database
        self._codec = codec
        self._committed = committed
        self._lifecycles = EventStore[UUID](EventMapper(codec), LifecycleRecorder(database))
        self._repository = Repository[UUID](self._lifecycles)

    def load(self, key_id: UUID) -> APIKey:
        """The key as its lifecycle events make it. Raises KeyNotFound."""
        try:
            key = self._repository.get(key_id, projector_func=project)
        except AggregateNotFoundError:
            raise _not_found(key_id) from None
        if key.deleted_at is not None:
            raise _not_found(key_id)
        return key

    def create(self, key_id: UUID, event: KeyCreated) -> KeyView:
        """Append the first event of a new stream. Raises NameConflict."""
        row = self._row(None, key_id, 1, event)
        append = partial(_append_created, parameters=self._parameters(row, event))
        self._database.run(append if self._take_name is _any_name else partial(self._append_named, row, append))
        self._committed()
        return _view(row)

    def create_once(
        self, key_id: UUID, event: KeyCreated, idempotency_key: str, fingerprint: bytes
    ) -> KeyView | UUID:
        """Append the first event of a new stream, unless the idempotency key has made a key before.

        Returns the new key, or the id of the one that it made. Raises IdempotencyConflict when that
        was with arguments of another fingerprint, and NameConflict.
        """
        row = self._row(None, key_id, 1, event)
        parameters = self._parameters(row, event)
        claim = {"idempotency_key": idempotency_key, "fingerprint": fingerprint, "id": key_id}

        def append(connection: DeadlineConnection) -> tuple[UUID, bytes]:
            with connection.transaction():
                if connection.execute(QUERIES["claim_idempotency_key"], claim).fetchone() is not None:
                    self._take_name(connection, row)
                    connection.execute(QUERIES["append_created"], parameters)
                    return key_id, fingerprint
            found = connection.execute(QUERIES["find_idempotency_key"], claim).fetchone()
            assert found is not None
            return found[0], found[1]

        made, first_fingerprint = self._database.run(append)
        if first_fingerprint != fingerprint:
            raise IdempotencyConflict("the idempotency key was used before, with other arguments")
        self._committed()
        return _view(row) if made == key_id else made

    def update(self, key_id: UUID, decide: Decision) -> KeyView | None:
        """Load the key, decide, append the event; decide again whenever another writer came first.

        Returns the key after the event, None where that has to be read anew. Raises KeyNotFound, NameConflict,
        whatever `decide` raises, and LedgerUnavailable.
        """
        for _ in self._tries(key_id):
            key = self.load(key_id)
            event = decide(key)
            if event is None:
                return None
            row = self._row(key, key_id, key.version, event)
            parameters = self._parameters(row, event)
            parameters["new_subject"] = event.changes.subject or None
            parameters["new_expiration"] = event.changes.expiration or None
            append = partial(_append, query="append_updated", parameters=parameters)
            if _takes_name(event):
                append = partial(self._append_named, row, append)
            values = self._database.run(append)
            if values is not None:
                self._committed()
                return KeyView(*values)
            if self._is_stored(key_id, event):
                return None
        raise AssertionError

    @traced("keyledger.revoke")
    def revoke(self, key_id: UUID, event: KeyRevoked) -> KeyView | None:
        """Append the event, unless the key is revoked; that much the statement decides itself.

        Returns the key after the event, None where it was revoked before. Raises KeyNotFound, LedgerUnavailable.
        """
        parameters = {
            "id": key_id,
            "topic": event.topic,
            "state": self._codec.encode(event),
            "revoked_at": event.occurred_at,
            "updated_at": event.occurred_at,
            "revocation_reason": event.revocation_reason,
        }
        for _ in self._tries(key_id):
            values = self._database.run(partial(_append, query="append_revoked", parameters=parameters))
            if values is not None:
                self._committed()
                return KeyView(*values)
            if self.load(key_id).revoked_at is not None:
                return None
        raise AssertionError

    def delete(self, key_id: UUID, event: KeyDeleted) -> None:
        """Append the event. Raises KeyNotFound, also where the key was deleted before, and LedgerUnavailable."""
        parameters = {"id": key_id, "topic": event.topic, "state": self._codec.encode(event)}
        for _ in self._tries(key_id):
            if self._database.run(partial(_append, query="append_deleted", parameters=parameters)) is not None:
                break
            if self._is_stored(key_id, event):
                break
            self.load(key_id)
        self._committed()

    def _append_named(
        self, row: ControlRow, append: Callable[[DeadlineConnection], T], connection: DeadlineConnection
    ) -> T:
        """Append in one transaction with the taking of the key's name, if it is live."""
        with connection.transaction():
            if row.revoked_at is None:
                self._take_name(connection, row)
            return append(connection)

    def _tries(self, key_id: UUID) -> Iterator[None]:
        deadline = time.monotonic() + self._database.timeout_seconds
        while time.monotonic() < deadline:
            yield
        raise LedgerUnavailable(f"{key_id_text(key_id)} changes faster than it can be decided on")

    def _is_stored(self, key_id: UUID, event: Event) -> bool:
        """Whether the event was appended by a try whose answer got lost: then it must not be decided on again."""
        return any(
            isinstance(stored, StoredEvent) and stored.event.id == event.id
            for stored in self._lifecycles.get(key_id)
        )

    def _parameters(self, row: ControlRow, event: Event) -> dict[str, Any]:
        """The control row after the event, and the event; a stream's head replaces `version`."""
        return {**msgspec.structs.asdict(row), "topic": event.topic, "state": self._codec.encode(event)}

    def _row(self, key: APIKey | None, key_id: UUID, version: int, event: Event) -> ControlRow:
        changed = evolve(key, StoredEvent(originator_id=key_id, originator_version=version, event=event))
        assert changed is not None
        return control.row(changed)


def _any_name(_: DeadlineConnection, __: ControlRow) -> None:
    """Names are free."""


def _takes_name(event: KeyUpdated) -> bool:
    """Whether a key may get among others by it: to those of another subject, or back from its expiration."""
    return event.changes.subject is not UNSET or event.changes.expiration is not UNSET


def _not_found(key_id: UUID) -> KeyNotFound:
    return KeyNotFound(f"no API key has the id {key_id_text(key_id)}")


def _view(row: ControlRow) -> KeyView:
    """A new key, not expired and never used."""
    fields = (field for field in KeyView.__struct_fields__ if field not in ("expired", "last_used_at"))
    return KeyView(**{field: getattr(row, field) for field in fields}, expired=False, last_used_at=None)


def _append_created(connection: DeadlineConnection, *, parameters: dict[str, Any]) -> None:
    # The id is new: whoever stored it before was this very call, whose answer got lost.
    with suppress(psycopg.errors.UniqueViolation):
        connection.execute(QUERIES["append_created"], parameters, prepare=True)


def _append(connection: DeadlineConnection, *, query: str, parameters: dict[str, Any]) -> TupleRow | None:
    try:
        return connection.execute(QUERIES[query], parameters, prepare=True).fetchone()
    except psycopg.errors.UniqueViolation:
        return None  # the head moved between the reading and the writing of it
