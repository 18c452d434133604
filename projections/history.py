"""The audit history: one row an event, which says whose key it was, who acted, and when."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from keyledger.domain.actor import Actor
from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import Event, KeyCreated, KeyDeleted, KeyRevoked, KeyUpdated
from keyledger.projections.history_entry import span
from keyledger.projections.sequenced import SequencedEvent

SPREAD = timedelta(seconds=60)
"""The entries of an event lie within so much before its `high_at`, or it is a stray.

By so much, too, a service's clock may be ahead of the database's before it is no longer followed.
"""

_NOBODY = Actor()


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of `history`.

    `subject` is the key's after the event; the five fields after it are the actor's. `first_at` and `last_at` are
    those of its entries, by the service's clock. `high_at` is the latest `last_at` up to this position, as far as
    the database's clock bears it out, so that one wrong clock does not lead all later events astray. `entries` is
    how many there are; `revoked` whether the key was revoked or deleted before the event.
    """

    position: int
    originator_id: UUID
    originator_version: int
    topic: str
    subject: str
    user_id: str | None
    organization_id: str | None
    ip_address: str | None
    request_id: str | None
    credential_id: str | None
    first_at: datetime
    last_at: datetime
    high_at: datetime
    stray: bool
    entries: int
    revoked: bool


class KeyState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the next row of a key needs of those before."""

    subject: str
    revoked: bool = False

    def after(self, event: Event) -> "KeyState":
        """The state after an event."""
        if isinstance(event, KeyUpdated) and isinstance(event.changes.subject, str):
            return KeyState(subject=event.changes.subject, revoked=self.revoked)
        return KeyState(subject=self.subject, revoked=self.revoked or isinstance(event, KeyRevoked | KeyDeleted))


def fold(
    before: Mapping[UUID, KeyState], high_at: datetime | None, events: Iterable[SequencedEvent]
) -> list[HistoryRow]:
    """The rows of events, given their keys' states and the `high_at` before them.

    Raises UnreadableEvent for a stream that does not begin with a KeyCreated.
    """
    keys, rows = dict(before), []
    for sequenced in events:
        key_id, event = sequenced.originator_id, sequenced.event
        key = keys.get(key_id) or _created(sequenced)
        keys[key_id] = after = key.after(event)
        row = _row(sequenced, after.subject, key.revoked, high_at)
        high_at = row.high_at
        rows.append(row)
    return rows


def _created(sequenced: SequencedEvent) -> KeyState:
    if not isinstance(sequenced.event, KeyCreated):
        raise UnreadableEvent(
            f"position {sequenced.position}: the stream begins with a {sequenced.event.topic}, not a KeyCreated"
        )
    return KeyState(subject=sequenced.event.subject)


def _row(sequenced: SequencedEvent, subject: str, revoked: bool, high_before: datetime | None) -> HistoryRow:
    event = sequenced.event
    actor = event.actor or _NOBODY
    first_at, last_at, entries = span(event)
    borne_out = min(last_at, sequenced.recorded_at + SPREAD)
    high_at = borne_out if high_before is None else max(high_before, borne_out)
    return HistoryRow(
        position=sequenced.position,
        originator_id=sequenced.originator_id,
        originator_version=sequenced.originator_version,
        topic=event.topic,
        subject=subject,
        user_id=actor.user_id,
        organization_id=actor.organization_id,
        ip_address=actor.ip_address,
        request_id=actor.request_id,
        credential_id=actor.credential_id,
        first_at=first_at,
        last_at=last_at,
        high_at=high_at,
        stray=not high_at - SPREAD <= first_at <= last_at <= high_at,
        entries=entries,
        revoked=revoked,
    )
