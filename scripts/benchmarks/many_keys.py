"""A ledger with very many keys of one subject beside many small ones, as real events with their control rows."""

import itertools
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
import psycopg

from keyledger.domain.api_key import evolve
from keyledger.domain.digest import Digest
from keyledger.domain.events import KeyCreated, KeyRevoked, StoredEvent
from keyledger.domain.ids import new_uuid
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.read_models.listing import ListingModel
from keyledger.infrastructure.schema import MIGRATIONS
from keyledger.projections import control
from keyledger.projections.control import ControlRow

LARGE = "org_large"
SMALL_KEYS = 5
RARE, RARE_KEYS = "世界", 200
"""A text of two characters that few names have."""
RARE_THREES = ["".join(letters) for letters in itertools.product("jqvxz", repeat=3)]
"""Texts of three characters, each of which some twenty of a million names have."""

_WORDS = [
    "deploys",
    "nightly",
    "export",
    "billing",
    "webhook",
    "mobile",
    "staging",
    "partner",
    "access",
    "sync",
    "metrics",
    "backup",
]
_DIGEST = Digest(algorithm="hmac-sha256-v1", kid="none", value=bytes(32))
_RARE_EACH = 400
_APART = timedelta(seconds=30)
_INDEX = "api_keys_grams"
_CONTROL = ", ".join(ControlRow.__struct_fields__)


class Timings(NamedTuple):
    """Seconds that it took to give positions to events, and to bring the listing read model to them."""

    events: int
    sequencing: float
    listing: float


def small(number: int) -> str:
    """A subject that has few keys."""
    return f"user_{number}"


def fill(dsn: str, count: int, small_subjects: int) -> Timings:
    """So many keys of one subject, and a few keys of each small one, a tenth of which come to expire."""
    codec, chance = EventCodec(), random.Random(1)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP INDEX keyledger.{_INDEX}".encode())
        _append(connection, codec, _created(count, small_subjects, chance))
        connection.execute("SET maintenance_work_mem = '256MB'")
        connection.execute(next(text for name, text in MIGRATIONS if name.endswith(_INDEX)).encode())
    return _bring_up(dsn, codec, count + SMALL_KEYS * small_subjects)


def revoke(dsn: str, share: float) -> Timings:
    """Revoke so many of the large subject's keys, here and there."""
    codec = EventCodec()
    with psycopg.connect(dsn, autocommit=True) as connection:
        ids = [
            row[0]
            for row in connection.execute(
                "UPDATE keyledger.api_keys SET revoked_at = created_at, updated_at = created_at, version = 2"
                " WHERE subject = %s AND get_byte(uuid_send(id), 15) < %s RETURNING id",
                (LARGE, round(256 * share)),
            )
        ]
        with connection.cursor() as cursor:
            with cursor.copy(
                "COPY keyledger.events (originator_id, originator_version, topic, state) FROM STDIN"
            ) as copy:
                for key_id in ids:
                    event = KeyRevoked(
                        id=new_uuid(), occurred_at=datetime.now(UTC), actor=None, revocation_reason=None
                    )
                    copy.write_row((key_id, 2, event.topic, codec.encode(event)))
            _queue(cursor, ((key_id, 2, KeyRevoked.topic) for key_id in ids))
    return _bring_up(dsn, codec, len(ids))


def _append(connection: psycopg.Connection, codec: EventCodec, events: Iterator[tuple[UUID, KeyCreated]]) -> None:
    found = list(events)
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(
            "COPY keyledger.events (originator_id, originator_version, topic, state, subject) FROM STDIN"
        ) as copy:
            for key_id, event in found:
                copy.write_row((key_id, 1, event.topic, codec.encode(event), event.subject))
        with cursor.copy(f"COPY keyledger.api_keys ({_CONTROL}) FROM STDIN".encode()) as copy:
            for key_id, event in found:
                key = evolve(None, StoredEvent(originator_id=key_id, originator_version=1, event=event))
                assert key is not None
                copy.write_row(msgspec.structs.astuple(control.row(key)))
        _queue(cursor, ((key_id, 1, KeyCreated.topic) for key_id, _ in found))


def _queue(cursor: psycopg.Cursor, places: Iterable[tuple[UUID, int, str]]) -> None:
    with cursor.copy("COPY keyledger.outbox (originator_id, originator_version, topic) FROM STDIN") as copy:
        for place in places:
            copy.write_row(place)


def _bring_up(dsn: str, codec: EventCodec, events: int) -> Timings:
    with closing(Database(dsn, timeout_seconds=60.0)) as database:
        start = time.perf_counter()
        position = Sequencer(database).catch_up()
        given = time.perf_counter()
        Runner(database, codec, (ListingModel(),)).catch_up(position, ListingModel.name)
        done = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:  # or the server does it while we measure
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return Timings(events=events, sequencing=given - start, listing=done - given)


def _created(count: int, small_subjects: int, chance: random.Random) -> Iterator[tuple[UUID, KeyCreated]]:
    """The creations by time: a key of the large subject each half minute, the small ones' in between."""
    now = datetime.now(UTC) - count * _APART
    every, rare = max(1, count // (SMALL_KEYS * small_subjects)), max(1, count // RARE_KEYS)
    small_keys = 0
    for number in range(count):
        now += _APART * chance.uniform(0.1, 1.9)
        name = f"{chance.choice(_WORDS)} {chance.choice(_WORDS)} {chance.getrandbits(32):08x}"
        if number % _RARE_EACH == 1:
            name = f"{name} {RARE_THREES[number // _RARE_EACH % len(RARE_THREES)]}"
        yield _create(now, LARGE, f"{RARE} {name}" if number % rare == 0 else name, chance)
        if number % every == 0 and small_keys < SMALL_KEYS * small_subjects:
            yield _create(now, small(small_keys % small_subjects), name, chance)
            small_keys += 1


def _create(moment: datetime, subject: str, name: str, chance: random.Random) -> tuple[UUID, KeyCreated]:
    expires = chance.random() < 0.1
    event = KeyCreated(
        id=new_uuid(),
        occurred_at=moment,
        actor=None,
        type="api_key",
        name=name,
        subject=subject,
        description="a description",
        claims=None,
        scopes=("read", "write"),
        created_by=None,
        expiration=datetime.now(UTC) + timedelta(days=chance.uniform(30, 300)) if expires else None,
        digest=_DIGEST,
    )
    return new_uuid(), event
