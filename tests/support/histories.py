"""Random histories of a few keys, stored as services with clocks of their own would have stored them.

And the past as whoever reads every event of every key finds it: slowly, and obviously.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from hypothesis import strategies as st
from msgspec import UNSET
from support.streams import created

from keyledger.domain.api_key import APIKey, evolve
from keyledger.domain.events import (
    Changes,
    Event,
    KeyCreated,
    KeyDeleted,
    KeyRevoked,
    KeyUpdated,
    KeyUsed,
    StoredEvent,
)
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec

START = datetime(2026, 3, 1, tzinfo=UTC)
SUBJECTS = ("org_1", "org_2")
SCOPES = ("a", "b", "c")
BELIEVED = timedelta(seconds=10)

_INSERT = """
INSERT INTO keyledger.events (
    originator_id, originator_version, topic, state, recorded_at, subject, expiration, last_used_at, lateness
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_QUEUE = "INSERT INTO keyledger.outbox (originator_id, originator_version, topic) VALUES (%s, %s, %s)"


class Recorded(NamedTuple):
    """An event with its position and when the database recorded it."""

    position: int
    stored: StoredEvent
    recorded_at: datetime


class State(msgspec.Struct, frozen=True):
    """A key as it was."""

    key: APIKey
    last_used_at: datetime | None
    expired: bool

    def counts_for(self, subject: str | None) -> bool:
        """Whether it was valid, and the subject's if one is given."""
        return not self.expired and self.key.revoked_at is None and subject in (None, self.key.subject)


@st.composite
def histories(draw: st.DrawFn, *, most: int = 25) -> list[Recorded]:
    """Commands on up to four keys, in the order of recording; the clocks differ, and uses come late."""
    seconds = st.integers(0, 40)
    keys: dict[UUID, APIKey] = {}
    versions: dict[UUID, int] = {}
    now, found = START, []
    for _ in range(draw(st.integers(1, most))):
        now += timedelta(seconds=draw(st.integers(0, 20)))
        skew = timedelta(seconds=draw(st.sampled_from((0, 0, 0, -3, 3, -9, 9, -3600, 3600))))
        alive = [key_id for key_id, key in keys.items() if key.revoked_at is None and key.deleted_at is None]
        old = len(keys) > 3 or (keys and draw(st.integers(0, 4)))
        key_id = draw(st.sampled_from(sorted(keys))) if old else None
        event: Event
        if key_id is None:
            key_id = new_uuid()
            life = draw(st.none() | seconds)
            event = created(
                id=new_uuid(),
                occurred_at=now + skew,
                subject=draw(st.sampled_from(SUBJECTS)),
                scopes=tuple(draw(st.lists(st.sampled_from(SCOPES), unique=True))),
                expiration=None if life is None else now + skew + timedelta(seconds=life + 1),
            )
        else:
            command = draw(st.sampled_from(("use", "use", "use", "update", "update", "revoke", "delete")))
            if command == "delete" and keys[key_id].deleted_at is None:
                event = KeyDeleted(id=new_uuid(), occurred_at=now + skew, actor=None)
            elif command in ("use", "delete") or key_id not in alive:
                event = _used(draw, now)
            elif command == "update":
                event = KeyUpdated(
                    id=new_uuid(), occurred_at=now + skew, actor=None, changes=_changes(draw, now + skew)
                )
            else:
                event = KeyRevoked(id=new_uuid(), occurred_at=now + skew, actor=None, revocation_reason="why")
        versions[key_id] = versions.get(key_id, 0) + 1
        stored = StoredEvent(originator_id=key_id, originator_version=versions[key_id], event=event)
        changed = evolve(keys.get(key_id), stored)
        assert changed is not None
        keys[key_id] = changed
        found.append(Recorded(len(found) + 1, stored, now))
    return found


def _changes(draw: st.DrawFn, now: datetime) -> Changes:
    scopes = st.lists(st.sampled_from(SCOPES), unique=True).map(tuple)
    expiration = st.none() | st.integers(1, 60).map(lambda life: now + timedelta(seconds=life))
    fields = {"scopes": scopes, "subject": st.sampled_from(SUBJECTS), "expiration": expiration}
    return Changes(**{name: draw(st.just(UNSET) | values) for name, values in fields.items()})


def _used(draw: st.DrawFn, now: datetime) -> KeyUsed:
    """Uses of the last minute, or of longer ago, some of them refused, none of them in order."""
    ago = draw(st.lists(st.integers(-5_000, 60_000) | st.just(600_000), min_size=1, max_size=4))
    uses = [
        RecordedUse(
            occurred_at=now - timedelta(milliseconds=each),
            outcome=draw(st.sampled_from(("valid", "valid", "revoked"))),
            use=Use(path="/"),
        )
        for each in ago
    ]
    return KeyUsed.of(uses, id=new_uuid())


def store(dsn: str, history: Sequence[Recorded]) -> None:
    """Append the history, with the columns that the writers fill."""
    codec = EventCodec()
    lasts: dict[UUID, datetime | None] = {}
    latenesses: dict[UUID, timedelta | None] = {}
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        for _, stored, recorded_at in history:
            key_id, event = stored.originator_id, stored.event
            last, lateness = lasts.get(key_id), latenesses.get(key_id)
            if isinstance(event, KeyUsed):
                lateness = lateness or timedelta(0)
                if uses := accepted(event):
                    lateness = max(lateness, last - min(uses)) if last else lateness
                    last = max(uses) if last is None else max(last, *uses)
            lasts[key_id], latenesses[key_id] = last, lateness
            about = (_subject(event), _expiration(event), last, lateness)
            place = (key_id, stored.originator_version, event.topic)
            cursor.execute(_INSERT, (*place, codec.encode(event), recorded_at, *about))
            cursor.execute(_QUEUE, place)


def _subject(event: Event) -> str | None:
    match event:
        case KeyCreated(subject=subject) | KeyUpdated(changes=Changes(subject=str() as subject)):
            return subject
    return None


def _expiration(event: Event) -> datetime | None:
    match event:
        case KeyCreated(expiration=moment) | KeyUpdated(changes=Changes(expiration=datetime() as moment)):
            return moment
    return None


def accepted(event: KeyUsed) -> list[datetime]:
    """When each accepted use was."""
    return [use.occurred_at for use in event.uses if use.outcome == "valid"]


def at_position(history: Sequence[Recorded], position: int) -> dict[UUID, State]:
    """Every key after the event at a position."""
    some = [each for each in history if each.position <= position]
    uses = [(each.stored, None) for each in some]
    return _states(some, uses, judged_at=some[-1].recorded_at if some else START)


def at_time(history: Sequence[Recorded], time: datetime) -> dict[UUID, State]:
    """Every key at a time."""
    lifecycle = [each for each in history if not isinstance(each.stored.event, KeyUsed)]
    latest: dict[UUID, datetime] = {}
    some = []
    for each in lifecycle:
        occurred, key_id = each.stored.event.occurred_at, each.stored.originator_id
        moment = each.recorded_at if abs(occurred - each.recorded_at) > BELIEVED else occurred
        latest[key_id] = max(moment, latest.get(key_id, moment))
        if latest[key_id] <= time:
            some.append(each)
    return _states(some, [(each.stored, time) for each in history], judged_at=time)


def _states(
    lifecycle: Sequence[Recorded], uses: Sequence[tuple[StoredEvent, datetime | None]], *, judged_at: datetime
) -> dict[UUID, State]:
    keys: dict[UUID, Any] = {}
    for _, stored, _ in lifecycle:
        keys[stored.originator_id] = evolve(keys.get(stored.originator_id), stored)
    last: dict[UUID, datetime] = {}
    for stored, until in uses:
        if isinstance(stored.event, KeyUsed):
            for use in accepted(stored.event):
                if until is None or use <= until:
                    last[stored.originator_id] = max(use, last.get(stored.originator_id, use))
    return {
        key_id: State(key, last.get(key_id), key.expiration is not None and key.expiration <= judged_at)
        for key_id, key in keys.items()
        if key.deleted_at is None
    }
