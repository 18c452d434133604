"""The APIKey aggregate: what a stream of events makes of a key, and what may be decided about it."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET

from keyledger.domain.actor import Actor
from keyledger.domain.digest import Digest
from keyledger.domain.errors import KeyRevokedError
from keyledger.domain.events import Changes, Event, KeyCreated, KeyDeleted, KeyRevoked, KeyUpdated, StoredEvent
from keyledger.domain.ids import key_id_text


class APIKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as its lifecycle events make it; `version` is the last of those events' place in the stream."""

    id: UUID
    version: int
    type: str
    name: str
    subject: str
    description: str | None
    claims: str | None
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    expiration: datetime | None
    revoked_at: datetime | None
    revocation_reason: str | None
    digest: Digest
    deleted_at: datetime | None = None

    def update(self, changes: Changes, *, event_id: UUID, now: datetime, actor: Actor | None) -> KeyUpdated | None:
        """The event of these changes; None where they change nothing. Raises KeyRevokedError."""
        if self.revoked_at is not None:
            raise KeyRevokedError(f"{key_id_text(self.id)} is revoked; a revoked key cannot be updated")
        different = {
            field: value
            for field, value in msgspec.structs.asdict(changes).items()
            if value is not UNSET and value != getattr(self, field)
        }
        if not different:
            return None
        return KeyUpdated(id=event_id, occurred_at=now, actor=actor, changes=Changes(**different))


def evolve(key: APIKey | None, stored: StoredEvent) -> APIKey | None:
    """The key after one more event. Uses change nothing that is decided on, whenever they arrive."""
    match stored.event:
        case KeyCreated() as event if key is None:
            return _created(stored, event)
        case KeyUpdated(changes=changes) as event if key is not None:
            changed = {
                field: value for field, value in msgspec.structs.asdict(changes).items() if value is not UNSET
            }
            return msgspec.structs.replace(key, **changed, **_touched(stored, event))
        case KeyRevoked() as event if key is not None:
            return msgspec.structs.replace(
                key,
                revoked_at=event.occurred_at,
                revocation_reason=event.revocation_reason,
                **_touched(stored, event),
            )
        case KeyDeleted() as event if key is not None:
            return msgspec.structs.replace(key, deleted_at=event.occurred_at, **_touched(stored, event))
    return key


def project(key: APIKey | None, events: Iterable[StoredEvent]) -> APIKey | None:
    """The key after all the events."""
    for stored in events:
        key = evolve(key, stored)
    return key


def _created(stored: StoredEvent, event: KeyCreated) -> APIKey:
    fields = {
        field: getattr(event, field) for field in KeyCreated.__struct_fields__ if field in APIKey.__struct_fields__
    }
    return APIKey(
        **{
            **fields,
            "id": stored.originator_id,
            "version": stored.originator_version,
            "created_at": event.occurred_at,
            "updated_at": event.occurred_at,
            "revoked_at": None,
            "revocation_reason": None,
        }
    )


def _touched(stored: StoredEvent, event: Event) -> dict[str, object]:
    return {"version": stored.originator_version, "updated_at": event.occurred_at}
