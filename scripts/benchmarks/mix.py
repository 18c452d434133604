"""A realistic mix of events: nine of ten are uses, one to twenty in each; the rest is of keys' lives."""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import psycopg

from keyledger.domain.actor import Actor
from keyledger.domain.digest import Digest
from keyledger.domain.events import Changes, Event, KeyCreated, KeyRevoked, KeyUpdated, KeyUsed
from keyledger.domain.ids import key_id_text, new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec

COPY_EVENTS = """
COPY keyledger.events (originator_id, originator_version, topic, state, subject, last_used_at, lateness) FROM STDIN
"""
COPY_OUTBOX = "COPY keyledger.outbox (originator_id, originator_version, topic) FROM STDIN"

_USED, _CREATED, _UPDATED = 0.90, 0.96, 0.99
_SUBJECTS, _USERS, _ADDRESSES = 200, 500, 50
_CREDENTIALS = [key_id_text(UUID(int=number)) for number in range(1, 4)]
_SPAN = timedelta(seconds=2)
_DIGEST = Digest(algorithm="hmac-sha256-v1", kid="none", value=bytes(32))


class Appended(NamedTuple):
    """An event with its place in its stream, and the latest use of the key up to it."""

    key_id: UUID
    version: int
    event: Event
    last_used_at: datetime | None


def events(count: int, *, most_uses: int = 20, seed: int = 1) -> Iterator[Appended]:
    """So many events, the same ones for the same seed but for their ids. Older keys have more of them."""
    chance, now = random.Random(seed), datetime.now(UTC) - count * _SPAN / 1_000
    keys: list[UUID] = []
    heads: dict[UUID, tuple[int, datetime | None]] = {}
    for number in range(count):
        now += _SPAN / 1_000
        kind = chance.random() if number >= 20 else _USED
        if _USED <= kind < _CREATED:
            keys.append(new_uuid())
        place = len(keys) - 1 if _USED <= kind < _CREATED else int(len(keys) * chance.random() ** 2)
        key_id = keys[place]
        version, last = heads.get(key_id, (0, None))
        event = _event(kind, now, chance, most_uses)
        if isinstance(event, KeyUsed):
            last = now + timedelta(microseconds=event.columns.offsets()[-1])
        heads[key_id] = version + 1, last
        yield Appended(key_id, version + 1, event, last)
        if kind >= _UPDATED:
            keys[place] = keys[-1]
            keys.pop()
            del heads[key_id]


def fill(dsn: str, found: Iterable[Appended]) -> None:
    """Append the events, as if many writers had done so."""
    codec = EventCodec()
    with (
        psycopg.connect(dsn) as one,
        psycopg.connect(dsn) as other,
        one.cursor().copy(COPY_EVENTS) as stored,
        other.cursor().copy(COPY_OUTBOX) as waiting,
    ):
        for key_id, version, event, last in found:
            subject = event.subject if isinstance(event, KeyCreated) else None
            late = timedelta(0) if last else None
            stored.write_row((key_id, version, event.topic, codec.encode(event), subject, last, late))
            waiting.write_row((key_id, version, event.topic))
    with psycopg.connect(dsn, autocommit=True) as connection:  # or the server does it while we measure
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def created(now: datetime, chance: random.Random, actor: Actor) -> KeyCreated:
    """A key, by the actor's user."""
    return KeyCreated(
        id=new_uuid(),
        occurred_at=now,
        actor=actor,
        type="api_key",
        name=f"benchmark {chance.randrange(1_000)}",
        subject=f"org_{chance.randrange(_SUBJECTS)}",
        description="a description",
        claims=None,
        scopes=("read", "write"),
        created_by=actor.user_id,
        expiration=None,
        digest=_DIGEST,
    )


def _event(kind: float, now: datetime, chance: random.Random, most_uses: int) -> Event:
    if kind < _USED:
        uses = [_use(now, chance, place) for place in range(chance.randint(1, most_uses))]
        return KeyUsed.of(uses, id=new_uuid())
    actor = Actor(
        user_id=f"user_{chance.randrange(_USERS)}",
        organization_id=f"org_{chance.randrange(_SUBJECTS)}",
        ip_address=f"198.51.100.{chance.randrange(_ADDRESSES)}",
        request_id=f"req_{chance.randrange(1_000_000)}",
        credential_id=chance.choice(_CREDENTIALS),
    )
    if kind < _CREATED:
        return created(now, chance, actor)
    if kind < _UPDATED:
        return KeyUpdated(id=new_uuid(), occurred_at=now, actor=actor, changes=Changes(description=str(now)))
    return KeyRevoked(id=new_uuid(), occurred_at=now, actor=actor, revocation_reason="no longer needed")


def _use(now: datetime, chance: random.Random, place: int) -> RecordedUse:
    use = Use(
        ip_address=f"192.0.2.{chance.randrange(8)}",
        user_agent="benchmark/1",
        method="GET",
        path=f"/v1/things/{chance.randrange(500)}",
        request_id=f"req_{chance.randrange(1_000_000)}",
    )
    return RecordedUse(occurred_at=now + timedelta(milliseconds=50 * place), outcome="valid", use=use)
