"""Recording uses: what taking note of one costs, how many a flush stores, and what flushes do to verifications."""

import hashlib
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg

from keyledger import KeyLedger, Settings, Use
from keyledger.domain.ids import halves, new_uuid, parse_key_id
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.uses.use_recorder import Durability, RecorderOptions, UseRecorder
from scripts.benchmarks import many_keys, plain, report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.measure import Figures, latencies, throughputs
from scripts.benchmarks.scale import Scale
from scripts.benchmarks.verify import USE
from scripts.benchmarks.write import create

CALLERS = 16
SECRETS = 500
KEYS, HOT_KEYS = 100_000, 100
HOT, DISTINCT = f"flush, {HOT_KEYS} keys", f"flush, {KEYS:,} keys"
BATCH = 1_000
ROUND_NS = 2_500_000_000
MANY = 2_000_000
"""More uses than are recorded here between flushes."""

TABLE = (
    "CREATE TABLE plain_uses (key_id uuid, used_at bigint, path text, request_id text, address text, agent text)"
)
COPY = "COPY plain_uses FROM STDIN (FORMAT BINARY)"
TYPES = ("uuid", "int8", "text", "text", "text", "text")
KEY_IDS = "SELECT id FROM keyledger.api_keys ORDER BY id LIMIT %s"


def run(dsn: str, scale: Scale) -> None:
    """Measure a record, a flush, and verifications with flushes and without, each beside its floor."""
    with tempfile.TemporaryDirectory(prefix="keyledger-bench-") as folder, KeyLedger.open(dsn) as ledger:
        directory = Path(folder)
        key_id = parse_key_id(create(ledger))
        _records(dsn, directory, key_id, scale)
        _audited(dsn, directory, key_id, scale)
        _flushes(dsn, directory, scale)
        _verifications(dsn, directory, scale, [_secret(ledger) for _ in range(SECRETS)])


def _records(dsn: str, directory: Path, key_id: UUID, scale: Scale) -> None:
    waiting: deque[tuple[UUID, int, Use]] = deque()
    clock = time.time_ns

    def append(_: int) -> None:
        for _number in range(BATCH):
            waiting.append((key_id, clock(), USE))

    def digest(_: int) -> None:
        for number in range(BATCH):
            hashlib.sha256(b"%066d" % number).digest()

    def recording(recorder: UseRecorder) -> Callable[[int], None]:
        def record(_: int) -> None:
            for _number in range(BATCH):
                recorder.record(*halves(key_id), "valid", USE)

        return record

    with _recorder(dsn, directory, "buffered") as buffered, _recorder(dsn, directory, "spooled") as spooled:
        contenders = {
            "the clock and deque.append": append,
            "SHA-256, to compare": digest,
            "buffered": recording(buffered),
            "spooled": recording(spooled),
        }
        report.latency(f"record {BATCH:,} uses, 1 caller", latencies(contenders, scale.rounds * 10), most={})


def _audited(dsn: str, directory: Path, key_id: UUID, scale: Scale) -> None:
    with _recorder(dsn, directory, "audit_required") as recorder, plain.callers(dsn, CALLERS) as others:

        def record() -> None:
            recorder.record(*halves(key_id), "valid", USE)

        one = {"INSERT": lambda _: others[0].insert(), "audit_required": lambda _: record()}
        report.latency("record a use durably, 1 caller", latencies(one, scale.writes), most={})
        many = {"INSERT": lambda c, _: others[c].insert(), "audit_required": lambda *_: record()}
        rates = throughputs(many, callers=CALLERS, rounds=scale.rounds, calls=scale.writes_per_round)
        report.throughput(f"record uses durably, {CALLERS} callers", rates, least={})


def _flushes(dsn: str, directory: Path, scale: Scale) -> None:
    """Uses a second from memory to the commit; the floor is one row a use, by the fastest way there is."""
    with new_database(dsn) as own:
        many_keys.fill(own, KEYS, 1)
        with (
            psycopg.connect(own, autocommit=True) as connection,
            _recorder(own, directory, "buffered") as recorder,
        ):
            connection.execute(TABLE)
            ids = [row[0] for row in connection.execute(KEY_IDS, (KEYS,))]
            uses = [_use(number) for number in range(KEYS)]

            def copy() -> float:
                start = time.perf_counter()
                with connection.cursor().copy(COPY) as rows:
                    rows.set_types(TYPES)
                    for number, use in enumerate(uses):
                        where = (use.path, use.request_id, use.ip_address, use.user_agent)
                        rows.write_row((ids[number % HOT_KEYS], time.time_ns(), *where))
                return time.perf_counter() - start

            def flush(keys: int) -> float:
                for number, use in enumerate(uses):
                    recorder.record(*halves(ids[number % keys]), "valid", use)
                start = time.perf_counter()
                recorder.flush()
                return time.perf_counter() - start

            contenders: dict[str, Callable[[], float]] = {
                "COPY, a row a use": copy,
                HOT: partial(flush, HOT_KEYS),
                DISTINCT: partial(flush, KEYS),
            }
            rates: dict[str, list[float]] = {name: [] for name in contenders}
            for turn in range(scale.rounds + 1):
                for name, contender in contenders.items():
                    rate = KEYS / contender()
                    if turn:
                        rates[name].append(rate)
    goals = {HOT: 100_000.0, DISTINCT: 30_000.0}
    report.throughput(f"store {KEYS:,} uses that wait, in uses", rates, least={}, above=goals)


def _verifications(dsn: str, directory: Path, scale: Scale, secrets: Sequence[str]) -> None:
    """The 99th percentile of each round's verifications, at one caller that makes one after the other."""
    settings = {
        "no flush": Settings(
            spool_dir=directory,
            background_worker=False,
            flush_interval_seconds=3_600.0,
            flush_after_uses=MANY,
            buffer_limit_uses=MANY,
        ),
        "flushes": Settings(spool_dir=directory, background_worker=False),
    }
    found: dict[str, list[float]] = {name: [] for name in settings}
    for turn in range(scale.rounds + 1):
        for name, each in settings.items():
            with KeyLedger.open(dsn, settings=each) as ledger:
                times = _verify(ledger, secrets)
            if turn:
                found[name].append(statistics.quantiles(times, n=100)[98] / 1_000)
    figures = {name: Figures.of(values) for name, values in found.items()}
    report.latency("p99 of a verification with its use recorded", figures, most={"flushes": 3})


def _verify(ledger: KeyLedger, secrets: Sequence[str]) -> list[int]:
    verify, clock = ledger.verify, time.perf_counter_ns
    times: list[int] = []
    number, now = 0, clock()
    end = now + ROUND_NS
    while now < end:
        assert verify(secrets[number % len(secrets)], use=USE).valid
        number, before, now = number + 1, now, clock()
        times.append(now - before)
    return times


@contextmanager
def _recorder(dsn: str, directory: Path, durability: Durability) -> Iterator[UseRecorder]:
    """One that flushes when it is told to."""
    options = RecorderOptions(
        durability=durability,
        directory=directory,
        flush_interval_seconds=3_600.0,
        flush_after_uses=MANY,
        buffer_limit_uses=MANY,
        spool_limit_bytes=1_000_000_000,
        refused_limit_per_key=10,
        refused_interval_seconds=60.0,
    )
    with closing(Database(dsn, timeout_seconds=60.0)) as database:
        recorder = UseRecorder(database, EventCodec(), options, committed=lambda: None)
        yield recorder
        recorder.close()


def _secret(ledger: KeyLedger) -> str:
    return str(ledger.api_keys.create(name="benchmark", subject="org_benchmark").secret)


def _use(number: int) -> Use:
    return Use(
        ip_address=f"192.0.2.{number % 250}",
        user_agent="benchmark/1",
        method="GET",
        path=f"/v1/things/{number % 500}",
        request_id=f"req_{new_uuid().hex[:16]}_{number}",
    )
