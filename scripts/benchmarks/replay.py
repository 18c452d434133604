"""Replay: folding one long stream, a key with very many uses beside one with none, the memory of each command."""

import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import perf_counter
from typing import NamedTuple
from uuid import UUID

import psycopg

from keyledger import KeyLedger, Settings
from keyledger.domain.digest import Digest
from keyledger.domain.events import KeyCreated, KeyUsed
from keyledger.domain.ids import key_id_text, new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.past import Past
from keyledger.infrastructure.sequencer import Sequencer
from keyledger.projections.moment import PastEvent, fold
from scripts.benchmarks import mix, peak, report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.measure import Figures, latencies
from scripts.benchmarks.scale import Scale

FEW_EVENTS = 10_000
MOST_USES = 3
SLICE = 10_000
IN_MEMORY = 100_000
FOLDED_PER_SECOND = 100_000
CALLS = 500
TIMES_UNUSED = 5.0
MOST_MEMORY = 1.2

COPY_EVENTS = """
COPY keyledger.events (
    originator_id, originator_version, topic, state, recorded_at, subject, last_used_at, lateness
) FROM STDIN
"""
COMMANDS = {"keys": ("--include-invalid", "--at"), "diff": ("--from", "0", "--to")}

ALL_APPLIED = "UPDATE keyledger.projections SET position = (SELECT position FROM keyledger.sequencer)"

_SECOND = timedelta(seconds=1)
_DIGEST = Digest(algorithm="hmac-sha256-v1", kid="none", value=bytes(32))


class Keys(NamedTuple):
    """A key that was used each second from its creation on, an event a use, and one that never was."""

    used: UUID
    unused: UUID
    created_at: datetime
    uses: int


def run(dsn: str, scale: Scale) -> None:
    """Measure on one long stream, then on ledgers of many keys."""
    with new_database(dsn) as short, new_database(dsn) as long:
        keys = {short: _one_key(short, FEW_EVENTS), long: _one_key(long, scale.history_events)}
        _fold(long, keys[long])
        _key_as_of(long, keys[long])
        calls = {
            f"{each.uses:,} uses": (filled, "key", key_id_text(each.used), "--at", str(each.uses // 2))
            for filled, each in keys.items()
        }
        _peaks("keyledger replay key", calls)
    with new_database(dsn) as small, new_database(dsn) as large:
        heads = {
            filled: _many_keys(filled, count)
            for filled, count in ((small, FEW_EVENTS), (large, scale.history_events))
        }
        for command, options in COMMANDS.items():
            calls = {f"{head:,} events": (filled, command, *options, str(head)) for filled, head in heads.items()}
            _peaks(f"keyledger replay {command}", calls)


def _one_key(dsn: str, uses: int) -> Keys:
    keys = Keys(new_uuid(), new_uuid(), datetime.now(UTC) - (uses + 3_600) * _SECOND, uses)
    codec = EventCodec()
    with (
        psycopg.connect(dsn) as one,
        psycopg.connect(dsn) as other,
        one.cursor().copy(COPY_EVENTS) as stored,
        other.cursor().copy(mix.COPY_OUTBOX) as waiting,
    ):
        for key_id, version, event, used_at in _events(keys):
            subject = event.subject if isinstance(event, KeyCreated) else None
            moment, late = used_at or keys.created_at, used_at and timedelta(0)
            stored.write_row((key_id, version, event.topic, codec.encode(event), moment, subject, used_at, late))
            waiting.write_row((key_id, version, event.topic))
    _sequence(dsn)
    return keys


def _events(keys: Keys) -> Iterator[mix.Appended]:
    for key_id in (keys.unused, keys.used):
        yield mix.Appended(key_id, 1, _created(keys.created_at), None)
    for number in range(1, keys.uses + 1):
        moment = keys.created_at + number * _SECOND
        use = RecordedUse(occurred_at=moment, outcome="valid", use=Use(ip_address="192.0.2.1", path="/v1/things"))
        yield mix.Appended(keys.used, number + 1, KeyUsed.of([use], id=new_uuid()), moment)


def _created(moment: datetime) -> KeyCreated:
    return KeyCreated(
        id=new_uuid(),
        occurred_at=moment,
        actor=None,
        type="api_key",
        name="benchmark",
        subject="org_benchmark",
        description=None,
        claims=None,
        scopes=("read", "write"),
        created_by=None,
        expiration=None,
        digest=_DIGEST,
    )


def _many_keys(dsn: str, count: int) -> int:
    """So many events of many keys; returns the last position."""
    mix.fill(dsn, mix.events(count, most_uses=MOST_USES))
    return _sequence(dsn)


def _sequence(dsn: str) -> int:
    """Give positions. No read model is filled: replay reads none."""
    with closing(Database(dsn, timeout_seconds=60.0)) as database:
        head = Sequencer(database).catch_up()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(ALL_APPLIED)  # or the commands' workers would begin to
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return head


def _fold(dsn: str, keys: Keys) -> None:
    """All events of the long stream: from the database, and, once in memory and decoded, the fold alone."""
    with closing(Database(dsn, timeout_seconds=60.0)) as database:
        past = Past(database, EventCodec())
        rates: list[float] = []
        found = fold(_timed(past.stream(keys.used), rates))
        assert found is not None
        assert found.last_used_at == keys.created_at + keys.uses * _SECOND
        some = list(islice(past.stream(keys.used), IN_MEMORY))
    alone: list[float] = []
    for _ in range(3):
        fold(_timed(iter(some), alone))
    figures = {"read, decoded and folded": Figures.of(rates), "folded": Figures.of(alone)}
    report.rates(f"{keys.uses:,} events of one stream, in slices of {SLICE:,}", figures, FOLDED_PER_SECOND)


def _timed(events: Iterator[PastEvent], rates: list[float]) -> Iterator[PastEvent]:
    """The events, with how many a second the consumer took of each slice."""
    start = perf_counter()
    for number, event in enumerate(events, 1):
        yield event
        if number % SLICE == 0:
            now = perf_counter()
            rates.append(SLICE / (now - start))
            start = now


def _key_as_of(dsn: str, keys: Keys) -> None:
    """At moments anywhere in the key's life, as a caller asks."""
    chance = random.Random(1)
    uses = [chance.randrange(keys.uses) for _ in range(2 * CALLS)]
    none, many = key_id_text(keys.unused), key_id_text(keys.used)
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        as_of = ledger.replay.key_as_of
        for what, moments in (
            ("time", [keys.created_at + (use + 0.5) * _SECOND for use in uses]),
            ("position", [use + 3 for use in uses]),
        ):
            calls = {
                "of a key with no use": lambda number, moments=moments: as_of(none, moments[number]),
                f"of a key with {keys.uses:,} uses": lambda number, moments=moments: as_of(many, moments[number]),
            }
            goals = dict.fromkeys(list(calls)[1:], TIMES_UNUSED)
            report.latency(f"key_as_of by {what}", latencies(calls, CALLS), most=goals)


def _peaks(title: str, calls: Mapping[str, tuple[str, ...]]) -> None:
    """The memory of a command on each database."""
    found = {name: peak.measured(dsn, "replay", *arguments, "--json") for name, (dsn, *arguments) in calls.items()}
    report.peaks(title, found, most=MOST_MEMORY)
