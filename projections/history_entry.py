"""What people read of the history: an event as one entry, or the many of a folded event."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET

from keyledger.domain.actor import Actor
from keyledger.domain.digest import Digest
from keyledger.domain.events import Event, KeyUpdated, KeyUsed
from keyledger.domain.ids import key_id_text
from keyledger.domain.use import RecordedUse

_COMMON = frozenset(Event.__struct_fields__)


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit history. Datetimes are aware, in UTC.

    position: the event's place in the order of all events; index: the entry's within its event, from 0.
    event_type: its topic, such as KeyUsed. subject: the key's after the event.
    occurred_at: by the service's clock; recorded_at: by the database's.
    actor: who acted; None for a use.
    details: of a use ip_address, user_agent, method, path, request_id and outcome, and
    `recorded_after_revocation` where it was accepted and stored after the revocation, whichever came first; of
    attempts that were only counted `refused_unlisted`, their number; of an update `changes`; of any other event
    its fields: of a revocation `revocation_reason`, of a creation the key's without the digest.
    """

    position: int
    index: int
    event_id: str
    event_type: str
    api_key_id: str
    subject: str
    occurred_at: datetime
    recorded_at: datetime
    actor: Actor | None
    details: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, the actor's too."""
        fields = msgspec.structs.asdict(self)
        return {**fields, "actor": self.actor and msgspec.structs.asdict(self.actor)}

    def __hash__(self) -> int:
        return hash((self.position, self.index))


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with what its row in the history says, and when the database recorded it."""

    position: int
    originator_id: UUID
    subject: str
    revoked: bool
    recorded_at: datetime
    event: Event


class Span(NamedTuple):
    """The time that an event's entries took, and their number."""

    first_at: datetime
    last_at: datetime
    entries: int


def moments(event: Event) -> list[datetime]:
    """When each of an event's entries occurred, by index.

    A KeyUsed has one a use, and one more, at its own moment, for the attempts that were only counted.
    """
    if not isinstance(event, KeyUsed):
        return [event.occurred_at]
    found = [event.occurred_at + timedelta(microseconds=offset) for offset in event.columns.offsets()]
    return [*found, event.occurred_at] if event.refused_unlisted else found


def span(event: Event) -> Span:
    """When the first and the last of an event's entries occurred, and how many there are."""
    start = event.occurred_at
    if not isinstance(event, KeyUsed):
        return Span(start, start, 1)
    count = len(event.columns)
    first, last = event.columns.span() if count else (0, 0)
    if event.refused_unlisted:
        first, last, count = min(first, 0), max(last, 0), count + 1
    return Span(start + timedelta(microseconds=first), start + timedelta(microseconds=last), count)


def entries(recorded: RecordedEvent, indexes: Sequence[int]) -> Iterator[HistoryEntry]:
    """The entries of these indexes, in their order."""
    event, occurred = recorded.event, moments(recorded.event)
    described = _details(recorded, indexes, occurred)
    for index in indexes:
        yield HistoryEntry(
            position=recorded.position,
            index=index,
            event_id=str(event.id),
            event_type=event.topic,
            api_key_id=key_id_text(recorded.originator_id),
            subject=recorded.subject,
            occurred_at=occurred[index].astimezone(UTC),
            recorded_at=recorded.recorded_at.astimezone(UTC),
            actor=event.actor,
            details=described[index],
        )


def _details(
    recorded: RecordedEvent, indexes: Sequence[int], occurred: Sequence[datetime]
) -> dict[int, dict[str, Any]]:
    match recorded.event:
        case KeyUsed() as event:
            return _used(event, indexes, occurred, revoked=recorded.revoked)
        case KeyUpdated(changes=changes):
            changed = {
                field: value for field, value in msgspec.structs.asdict(changes).items() if value is not UNSET
            }
            return {0: {"changes": _readable(changed)}}
        case event:
            return {0: _readable(_own(event))}


def _own(event: Event) -> dict[str, Any]:
    """What only an event of its type says, but for digests: those serve nobody who reads."""
    fields = {field: getattr(event, field) for field in event.__struct_fields__ if field not in _COMMON}
    return {field: value for field, value in fields.items() if not isinstance(value, Digest)}


def _used(
    event: KeyUsed, indexes: Sequence[int], occurred: Sequence[datetime], *, revoked: bool
) -> dict[int, dict[str, Any]]:
    """Unpacks no more of the uses than those from the first to the last index."""
    count = len(event.columns)
    found: dict[int, dict[str, Any]] = {count: {"refused_unlisted": event.refused_unlisted}}
    listed = [index for index in indexes if index < count]
    if listed:
        first, last = min(listed), max(listed)
        start = occurred[first - 1] if first else event.occurred_at
        some = event.columns.between(first, last)
        for index, recorded in enumerate(some.unpack(event.texts, start), first):
            found[index] = _use(recorded, revoked=revoked)
    return found


def _use(recorded: RecordedUse, *, revoked: bool) -> dict[str, Any]:
    details = {**msgspec.structs.asdict(recorded.use), "outcome": recorded.outcome}
    if revoked and recorded.outcome == "valid":
        details["recorded_after_revocation"] = True
    return details


def _readable(fields: dict[str, Any]) -> dict[str, Any]:
    """A key's fields in the form that callers know them in: claims as a JSON value, scopes as a list."""
    if fields.get("claims") is not None:
        fields["claims"] = json.loads(fields["claims"])
    if "scopes" in fields:
        fields["scopes"] = list(fields["scopes"])
    if fields.get("expiration") is not None:
        fields["expiration"] = fields["expiration"].astimezone(UTC)
    return fields
