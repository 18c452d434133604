"""Replay: a long stream folded, keys by how much they were used, and the memory that a whole ledger takes."""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from keyledger import KeyLedger, Settings
from keyledger.domain.actor import Actor
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import key_id_text, new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.replay.past import Past
from keyledger.projections.moment import fold
from scripts.benchmarks import mix, peak, report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.measure import Figures, latencies
from scripts.benchmarks.scale import Scale

FOLDED_A_SECOND = 100_000
MOST_TIMES = 5.0
MOST_MEMORY = 1.2
FEW_EVENTS = 10_000
CALLS = 300

COPY_EVENTS = """
COPY keyledger.events (
    originator_id, originator_version, topic, state, recorded_at, subject, last_used_at, lateness
) FROM STDIN
"""
QUEUE = """
INSERT INTO keyledger.outbox (originator_id, originator_version, topic)
SELECT originator_id, originator_version, topic FROM keyledger.events WHERE originator_id = %s
"""
_APART = timedelta(milliseconds=1)


def run(dsn: str, scale: Scale) -> None:
    """One key with very many uses beside one with none, then a small and a large ledger."""
    with new_database(dsn) as own, KeyLedger.open(own, settings=Settings(background_worker=False)) as ledger:
        began = datetime.now(UTC) - scale.replayed_uses * _APART
        unused, used = new_uuid(), new_uuid()
        _append(own, unused, began, uses=0)
        _append(own, used, began, uses=scale.replayed_uses)
        head = _settle(own)
        with closing(Database(own)) as database:
            _fold(database, used, scale.replayed_uses + 1)
        moments = {
            "now": datetime.now(UTC),
            "at a time halfway": began + scale.replayed_uses / 2 * _APART,
            "at a position halfway": head // 2,
        }
        _as_of(ledger, {"of a key without uses": unused, "of one with them all": used}, moments)
    with new_database(dsn) as small, new_database(dsn) as large:
        found = {}
        for count, own in ((FEW_EVENTS, small), (scale.history_events, large)):
            mix.fill(own, mix.events(count, most_uses=1))
            _settle(own)
            found[f"{count:,} events"] = peak.measured(own, peak.REPLAY)
        report.peaks("every key as it is, and all that ever changed, replayed", found, most=MOST_MEMORY)


def _append(dsn: str, key_id: UUID, began: datetime, *, uses: int) -> None:
    """A key and its uses, as if recorded when they occurred."""
    codec, none = EventCodec(), timedelta(0)
    actor = Actor(user_id="user_benchmark")
    creation = mix.created(began, random.Random(1), actor)
    with psycopg.connect(dsn) as connection:
        with connection.cursor().copy(COPY_EVENTS) as copy:
            state = codec.encode(creation)
            copy.write_row((key_id, 1, creation.topic, state, began, creation.subject, None, None))
            for number in range(1, uses + 1):
                moment = began + number * _APART
                use = RecordedUse(occurred_at=moment, outcome="valid", use=Use(path="/v1/things", method="GET"))
                event = KeyUsed.of([use], id=new_uuid())
                copy.write_row((key_id, number + 1, event.topic, codec.encode(event), moment, None, moment, none))
        connection.execute(QUEUE, (key_id,))


def _settle(dsn: str) -> int:
    """Give positions, and do what the server would do while we measure; returns the last one."""
    with closing(Database(dsn, timeout_seconds=600.0)) as database:
        head = Sequencer(database).catch_up()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return head


def _fold(database: Database, key_id: UUID, count: int) -> None:
    past = Past(database, EventCodec())
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        key = fold(past.stream(key_id))
        rates.append(count / (time.perf_counter() - start))
        assert key is not None
    report.rates(f"a stream of {count:,} events read and folded", {"events": Figures.of(rates)}, FOLDED_A_SECOND)


def _as_of(ledger: KeyLedger, keys: Mapping[str, UUID], moments: Mapping[str, datetime | int]) -> None:
    for name, at in moments.items():
        found = latencies({title: _call(ledger, key_id_text(key), at) for title, key in keys.items()}, CALLS)
        report.latency(f"key_as_of, {name}", found, most={list(keys)[1]: MOST_TIMES})


def _call(ledger: KeyLedger, api_key_id: str, at: datetime | int) -> Callable[[int], object]:
    def call(_: int) -> None:
        assert ledger.replay.key_as_of(api_key_id, at) is not None

    return call
