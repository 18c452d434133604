"""Load-and-decide on a key with 100,000 recorded uses, against a key with none."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from keyledger import KeyLedger
from keyledger.domain.events import Changes, KeyUsed
from keyledger.domain.ids import new_uuid, parse_key_id
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.key_store import KeyStore
from scripts.benchmarks import report
from scripts.benchmarks.measure import latencies
from scripts.benchmarks.scale import Scale
from scripts.benchmarks.write import create, revoke

FOLDS = {"no uses": 0, "{uses:,} events of one use": 1, "{uses:,} uses, folded": 1_000}
"""Uses an event holds; a thousand is a key in constant use, flushed each second."""

STAGE = "CREATE TEMPORARY TABLE used (version bigint, state bytea)"
APPEND = """
WITH appended AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state)
    SELECT %s, version, 'KeyUsed', state FROM used ORDER BY version
    RETURNING originator_id, originator_version
)
INSERT INTO keyledger.outbox (originator_id, originator_version, topic) SELECT *, 'KeyUsed' FROM appended
"""

Keys = Mapping[str, list[str]]


def run(dsn: str, scale: Scale) -> None:
    """Measure the loading with the decision, then `update` and `revoke` as a whole."""
    with KeyLedger.open(dsn) as ledger, closing(Database(dsn)) as database:
        keys = {name.format(uses=scale.uses): _keys(dsn, ledger, scale, fold) for name, fold in FOLDS.items()}
        with psycopg.connect(dsn, autocommit=True) as connection:  # or the server does both while we measure
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        store = KeyStore(database, EventCodec(), lambda: None)
        _measure("load and decide", keys, lambda key_id, _: _decide(store, parse_key_id(key_id)), scale.reads)
        _measure("update", keys, lambda key_id, n: _update(ledger, key_id, n), scale.writes)
        _measure("revoke", keys, lambda key_id, _: revoke(ledger, key_id), scale.loaded_keys - 1, warm_up=1)


def _measure(title: str, keys: Keys, call: Callable[[str, int], None], calls: int, *, warm_up: int = 20) -> None:
    def contender(some: list[str]) -> Callable[[int], None]:
        return lambda number: call(some[number % len(some)], number)

    found = latencies({name: contender(some) for name, some in keys.items()}, calls, warm_up=warm_up)
    report.latency(f"{title}, by what the key has recorded", found, most=dict.fromkeys(list(keys)[1:], 2))


def _decide(store: KeyStore, key_id: UUID) -> None:
    changes = Changes(description="a description that it has not")
    event = store.load(key_id).update(changes, event_id=new_uuid(), now=datetime.now(UTC), actor=None)
    assert event is not None


def _update(ledger: KeyLedger, key_id: str, number: int) -> None:
    ledger.api_keys.update(key_id, description=f"a description, for the time {number}")


def _keys(dsn: str, ledger: KeyLedger, scale: Scale, fold: int) -> list[str]:
    """Keys with their uses in events of `fold` uses each."""
    found = [create(ledger) for _ in range(scale.loaded_keys)]
    if fold:
        with psycopg.connect(dsn) as connection:
            connection.execute(STAGE)
            with connection.cursor().copy("COPY used FROM STDIN") as copy:
                for row in enumerate(_states(scale.uses, fold), start=2):
                    copy.write_row(row)
            for key_id in found:
                connection.execute(APPEND, (parse_key_id(key_id),))
    return found


def _states(uses: int, fold: int) -> Iterator[bytes]:
    """KeyUsed events as they are stored: a use each 10 ms, from a few addresses, on many paths."""
    codec, moment = EventCodec(), datetime.now(UTC)
    for first in range(0, uses, fold):
        some = [_use(moment, number) for number in range(first, first + fold)]
        yield codec.encode(KeyUsed.of(some, id=new_uuid()))


def _use(start: datetime, number: int) -> RecordedUse:
    use = Use(
        ip_address=f"192.0.2.{number % 8}",
        user_agent="benchmark/1",
        method="GET",
        path=f"/v1/things/{number % 500}",
        request_id=f"req_{number}",
    )
    return RecordedUse(occurred_at=start + timedelta(milliseconds=10 * number), outcome="valid", use=use)
