"""Streams for the tests of the domain: given these events, when that command, then this."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from keyledger.domain.api_key import APIKey, project
from keyledger.domain.digest import Digest
from keyledger.domain.events import Changes, Event, KeyCreated, KeyRevoked, KeyUpdated, StoredEvent
from keyledger.domain.ids import new_uuid
from keyledger.projections.moment import PastEvent

KEY = UUID("01a208f6-d627-7fcb-ac5f-5786313b3378")
T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment after the beginning."""
    return T0 + timedelta(seconds=seconds)


def created(**fields: Any) -> KeyCreated:
    defaults: dict[str, Any] = {
        "id": new_uuid(),
        "occurred_at": T0,
        "actor": None,
        "type": "api_key",
        "name": "first",
        "subject": "org_1",
        "description": "what for",
        "claims": '{"plan":"free"}',
        "scopes": ("read", "write"),
        "created_by": "user_1",
        "expiration": at(3600),
        "digest": Digest(algorithm="hmac-sha256-v1", kid="none", value=bytes(32)),
    }
    return KeyCreated(**{**defaults, **fields})


def updated(seconds: float = 1, **changes: Any) -> KeyUpdated:
    return KeyUpdated(id=new_uuid(), occurred_at=at(seconds), actor=None, changes=Changes(**changes))


def revoked(reason: str | None = None, seconds: float = 2) -> KeyRevoked:
    return KeyRevoked(id=new_uuid(), occurred_at=at(seconds), actor=None, revocation_reason=reason)


def stream(*events: Event) -> list[StoredEvent]:
    """The events as one key's stream."""
    return [
        StoredEvent(originator_id=KEY, originator_version=version, event=event)
        for version, event in enumerate(events, start=1)
    ]


def past(*events: tuple[Event, datetime]) -> list[PastEvent]:
    """A stream of events, each with when the database recorded it."""
    return [
        PastEvent(
            originator_id=stored.originator_id,
            originator_version=stored.originator_version,
            recorded_at=recorded_at,
            event=stored.event,
        )
        for stored, (_, recorded_at) in zip(stream(*(event for event, _ in events)), events, strict=True)
    ]


def given(*events: Event) -> APIKey:
    """The key that the events make."""
    key = project(None, stream(*events))
    assert key is not None
    return key
