"""A change of a key between two moments."""

from datetime import datetime
from typing import Any

import msgspec

from keyledger.api_key import APIKey
from keyledger.domain.actor import Actor
from keyledger.projections.difference import Kind


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a key between two moments, and the event that did it. Datetimes are aware, in UTC.

    kind: `gained`, it became valid (or, asked about a subject, the subject's); `lost`, it was revoked, deleted or
    expired, or went to another subject; `widened`, it has more scopes or a longer life; `narrowed`, fewer or a
    shorter one.
    subject: whose key it was (`lost`) or is (otherwise).
    before, after: the key at the two moments; None where it did not exist, or was deleted.
    event_id, event_type, position, actor: the last event that is responsible; of a key that expired the update
    that had it expire then, or None where it was to before. occurred_at: when the event occurred by the service's
    clock, else when the key expired.
    """

    kind: Kind
    api_key_id: str
    subject: str
    before: APIKey | None
    after: APIKey | None
    event_id: str | None
    event_type: str | None
    position: int | None
    occurred_at: datetime
    actor: Actor | None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, those of the keys and of the actor too."""
        return {
            **msgspec.structs.asdict(self),
            "before": self.before and self.before.as_dict(),
            "after": self.after and self.after.as_dict(),
            "actor": self.actor and msgspec.structs.asdict(self.actor),
        }

    def __hash__(self) -> int:
        return hash((self.kind, self.api_key_id, self.position, self.occurred_at))
