"""How fast the sequencer and the runner follow the events, beside eventsourcing's ProjectionRunner."""

import time
from collections.abc import Sequence
from contextlib import closing

import psycopg

from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import BATCH_EVENTS, Sequencer
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.read_models.usage import UsageModel
from scripts.benchmarks import library_runner, mix, peak, report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.measure import Figures
from scripts.benchmarks.scale import Scale

SEQUENCER_PER_SECOND = 15_000
RUNNER_PER_SECOND = 20_000
TIMES_LIBRARY = 30
SLICE = 10 * BATCH_EVENTS
FEW_EVENTS = 10_000
MOST_USES = 3
MOST_MEMORY = 1.2

LIBRARY = "eventsourcing's ProjectionRunner, usage"
NOT_WAITING = "the same, not waiting for the disk"
OURS = "keyledger's runner, usage"


def run_sequencer(dsn: str, scale: Scale) -> None:
    """Positions for events that wait, a slice at a time."""
    with new_database(dsn) as filled:
        mix.fill(filled, mix.events(scale.followed_events))
        with closing(Database(filled, timeout_seconds=60.0)) as database:
            rates = _sequenced(database, scale.followed_events)
    report.rates("sequencer", {"events that get a position": Figures.of(rates)}, SEQUENCER_PER_SECOND)


def run(dsn: str, scale: Scale) -> None:
    """The runner alone, then beside the library's, then the memory that a rebuild takes."""
    with new_database(dsn) as filled:
        mix.fill(filled, mix.events(scale.followed_events))
        _follow(filled)
    _beside_library(dsn, scale)
    _rebuilds(dsn, scale)


def _sequenced(database: Database, count: int) -> list[float]:
    sequencer, rates = Sequencer(database), []
    sequencer.claim()
    while sequencer.head < count:
        start, before = time.perf_counter(), sequencer.head
        while sequencer.head < min(count, before + SLICE):
            sequencer.step()
            sequencer.claim()
        rates.append((sequencer.head - before) / (time.perf_counter() - start))
    sequencer.release()
    return rates


def _follow(dsn: str) -> None:
    """Each read model by itself."""
    with closing(Database(dsn, timeout_seconds=60.0)) as database:
        head = Sequencer(database).catch_up()
        found = {model.name: Figures.of(_followed(database, model, head)) for model in READ_MODELS}
    report.rates("runner, events a second into each read model", found, RUNNER_PER_SECOND)


def _followed(database: Database, model: ReadModel, head: int) -> list[float]:
    runner, rates = Runner(database, EventCodec(), [model]), []
    for until in range(SLICE, head + 1, SLICE):
        start = time.perf_counter()
        runner.catch_up(until, model.name)
        rates.append(SLICE / (time.perf_counter() - start))
    return rates


def _beside_library(dsn: str, scale: Scale) -> None:
    """The same events into the same read model, a round's worth at a time."""
    count, rounds = scale.library_events, 5
    events = list(mix.events(count * rounds, most_uses=MOST_USES))
    rates: dict[str, list[float]] = {LIBRARY: [], NOT_WAITING: [], OURS: []}
    with (
        new_database(dsn) as ours,
        new_database(dsn, migrated=False) as waiting,
        new_database(dsn, migrated=False) as hasty,
        closing(Database(ours, timeout_seconds=60.0)) as database,
    ):
        _do_not_wait(hasty)
        runner = Runner(database, EventCodec(), [UsageModel()])
        for number in range(rounds):
            some = events[number * count : (number + 1) * count]
            for name, where in ((LIBRARY, waiting), (NOT_WAITING, hasty)):
                rates[name].append(count / library_runner.seconds(where, some))
            mix.fill(ours, some)
            head = Sequencer(database).catch_up()
            start = time.perf_counter()
            runner.catch_up(head, UsageModel.name)
            rates[OURS].append(count / (time.perf_counter() - start))
        _assert_same(ours, (waiting, hasty))
    report.throughput(f"runner, {count:,} events a round", rates, least={OURS: TIMES_LIBRARY})


def _do_not_wait(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("SELECT current_database()::text").fetchone()
        assert row is not None
        connection.execute(f"ALTER DATABASE {row[0]} SET synchronous_commit = off".encode())


def _assert_same(ours: str, others: Sequence[str]) -> None:
    """Every runner has counted the same."""
    found = []
    for dsn, table in ((ours, "keyledger.key_usage"), *((dsn, library_runner.TABLE) for dsn in others)):
        with psycopg.connect(dsn) as connection:
            query = f"SELECT id, uses, last_used_at FROM {table} ORDER BY id"
            found.append(connection.execute(query.encode()).fetchall())
    assert found[0] == found[1] == found[2]


def _rebuilds(dsn: str, scale: Scale) -> None:
    """The memory of a process that rebuilds every read model."""
    found = {}
    for count in (FEW_EVENTS, scale.history_events):
        with new_database(dsn) as filled:
            mix.fill(filled, mix.events(count, most_uses=MOST_USES))
            with closing(Database(filled, timeout_seconds=60.0)) as database:
                head = Sequencer(database).catch_up()
                for model in READ_MODELS:
                    Runner(database, EventCodec(), READ_MODELS).catch_up(head, model.name)
            found[f"{count:,} events"] = peak.measured(filled, "projections", "rebuild")
    report.peaks("keyledger projections rebuild", found, most=MOST_MEMORY)
