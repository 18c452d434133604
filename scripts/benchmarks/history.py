"""The audit history: from a commit to its entry, pages near and far by each filter, an export's memory."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg

from keyledger import Actor, KeyLedger, Settings
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.read_models.history import HistoryModel
from scripts.benchmarks import mix, peak, report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.measure import Figures, latencies
from scripts.benchmarks.scale import Scale

VISIBLE_MICROSECONDS = 20_000
FEW_EVENTS = 10_000
MOST_USES = 3
SIZE = 50
DEEP_PAGES = 1_000
CALLS = 100
MOST_MEMORY = 1.2

Filters = dict[str, Any]


def run(dsn: str, scale: Scale) -> None:
    """Measure on an empty ledger, then on a small and a large one."""
    with new_database(dsn) as empty:
        _visible(empty, scale.visible_commits)
    with new_database(dsn) as small, new_database(dsn) as large:
        _fill(small, FEW_EVENTS)
        _fill(large, scale.history_events)
        _pages(large, scale.history_events)
        _export({FEW_EVENTS: small, scale.history_events: large})


def _visible(dsn: str, commits: int) -> None:
    """From when `create` returns to when the history has it: of the ledger that gives positions, and another."""
    with KeyLedger.open(dsn) as ledger:
        _create(ledger)
        time.sleep(1)  # this one has the sequencer's role from now on
        with KeyLedger.open(dsn) as other:
            writers = {"by the ledger whose worker works": ledger, "by another": other}
            found = {name: Figures.of(_waits(writer, ledger, commits)) for name, writer in writers.items()}
    goals = dict.fromkeys(writers, VISIBLE_MICROSECONDS)
    report.latency("from a commit to its entry in the history, when written", found, most={}, within=goals)


def _waits(writer: KeyLedger, reader: KeyLedger, commits: int) -> list[float]:
    """Microseconds, with pauses in which the worker may come to rest or not."""
    chance, found = random.Random(1), []
    for _ in range(commits):
        time.sleep(chance.choice((0.001, 0.02, 0.2)) * chance.random())
        api_key_id = _create(writer)
        start = time.perf_counter_ns()
        while not reader.audit.history(api_key_id=api_key_id, page_size=1).entries:
            pass
        found.append((time.perf_counter_ns() - start) / 1_000)
    return found


def _create(ledger: KeyLedger) -> str:
    return ledger.api_keys.create(name="benchmark", subject="org_benchmark").id


def _fill(dsn: str, count: int) -> None:
    """Events in every read model; those of the history are timed."""
    mix.fill(dsn, mix.events(count, most_uses=MOST_USES))
    with closing(Database(dsn, timeout_seconds=60.0)) as database:
        start = time.perf_counter()
        position = Sequencer(database).catch_up()
        given = time.perf_counter()
        _bring_up(database, position, HistoryModel())
        done = time.perf_counter()
        _bring_up(database, position, *READ_MODELS)
    with psycopg.connect(dsn, autocommit=True) as connection:  # or the server does it while we measure
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    sequencing, telling = count / (given - start), count / (done - given)
    report.note(
        f"\n{count:,} events: {given - start:.1f} s to give positions ({sequencing:,.0f}/s),"
        f" {done - given:.1f} s to bring the history up ({telling:,.0f}/s)"
    )


def _bring_up(database: Database, position: int, *models: ReadModel) -> None:
    Runner(database, EventCodec(), models).catch_up(position, *(model.name for model in models))


def _pages(dsn: str, count: int) -> None:
    """The newest page that a filter leaves, and one behind many others."""
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        for name, filters in _filters(ledger, count).items():
            cursor, passed = _deep(ledger, filters)
            calls, goals = {"newest": _page(ledger, filters, None)}, {}
            if cursor is not None:
                deep = f"after {passed:,} entries"
                calls[deep], goals[deep] = _page(ledger, filters, cursor), 2.0
            report.latency(f"{SIZE} entries of {count:,} events: {name}", latencies(calls, CALLS), most=goals)


def _filters(ledger: KeyLedger, count: int) -> dict[str, Filters]:
    """Each filter by itself, and some together; the key is the one with the most of the newest entries."""
    recent = ledger.audit.history(page_size=1_000).entries
    ((key_id, _),) = Counter(entry.api_key_id for entry in recent).most_common(1)
    subject, actor = next((entry.subject, entry.actor) for entry in recent if entry.actor is not None)
    newest, span = recent[0].occurred_at, count * timedelta(milliseconds=1)
    times = {"since": newest - 1.1 * span, "until": newest - 0.9 * span}
    return {
        "all": {},
        "of a key": {"api_key_id": key_id},
        "of a subject": {"subject": subject},
        "by a user": {"actor": Actor(user_id=actor.user_id)},
        "for an organization": {"actor": Actor(organization_id=actor.organization_id)},
        "from an address": {"actor": Actor(ip_address=actor.ip_address)},
        "by a request": {"actor": Actor(request_id=actor.request_id)},
        "with a credential": {"credential_id": actor.credential_id},
        "of an event type": {"event_types": ["KeyRevoked"]},
        "within a span of time": times,
        "of a subject, of an event type, within a span of time": {
            **times,
            "subject": subject,
            "event_types": ["KeyUsed"],
        },
    }


def _deep(ledger: KeyLedger, filters: Filters) -> tuple[str | None, int]:
    """A cursor behind many entries, or all but a page, and how many; None where they fit on one page."""
    cursor, passed = None, 0
    for _ in range(DEEP_PAGES):
        page = ledger.audit.history(page_size=2 * SIZE, cursor=cursor, **filters)
        if page.next_cursor is None:
            break
        cursor, passed = page.next_cursor, passed + len(page.entries)
    return cursor, passed


def _page(ledger: KeyLedger, filters: Filters, cursor: str | None) -> Callable[[int], object]:
    return lambda _: ledger.audit.history(page_size=SIZE, cursor=cursor, **filters)


def _export(databases: Mapping[int, str]) -> None:
    """The whole history by the command line, into nothing."""
    found = {
        f"{count:,} events": peak.measured(dsn, "audit", "export", "--output", os.devnull, "--json")
        for count, dsn in databases.items()
    }
    report.peaks("keyledger audit export", found, most=MOST_MEMORY)
