"""Lists while keys are written, counted and moved, and the counts rebuilt: each page is that of a snapshot."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

from support.key_writer import SUBJECTS, KeyWriter, Wanted, listed, plain

from keyledger import KeyLedger, Settings
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database

WRITERS, COMPARERS = 2, 2
SNAPSHOTS, PAGES = 15, 8
TERMS = (*[""] * 6, "e", "世", "%")


@contextmanager
def snapshot(connection: DeadlineConnection) -> Iterator[None]:
    """Taken when nobody is putting other tables in the places of these, and nobody can until its end."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table in ("api_keys", "listed_keys", "key_counts"):
            connection.execute(f"LOCK TABLE keyledger.{table} IN ACCESS SHARE MODE".encode())
        yield


def move(mover: KeyWriter) -> None:
    """Bring positions and counts some way forward."""
    mover.catch_up(steps=mover.chance.randint(0, 30))


def compare(database: Database, chance: random.Random) -> Counter[str]:
    """Some pages of each of some snapshots are what plain SQL gives; counts the statements that found them."""

    def pages(connection: DeadlineConnection) -> list[str]:
        with snapshot(connection):
            return [assert_some_page(connection, chance) for _ in range(PAGES)]

    return Counter(statement for _ in range(SNAPSHOTS) for statement in database.run(pages))


def assert_some_page(connection: DeadlineConnection, chance: random.Random) -> str:
    wanted = Wanted(
        subject=chance.choice(SUBJECTS),
        term=chance.choice(TERMS),
        offset=chance.choice([0, chance.randint(0, 300)]),
        limit=chance.randint(1, 20),
        include_invalid=chance.random() < 0.5,
    )
    before = None
    while (expected := plain(connection, wanted)) != before:  # until no key expires in between
        before, (found, total, statements) = expected, listed(connection, wanted)
    ids, count = expected
    assert found == ids, wanted
    assert count in (total, None), wanted
    return statements[-1]


def test_every_page_is_that_of_a_snapshot_whatever_happens_meanwhile(
    open_ledger: Callable[..., KeyLedger],
    settings_of_a_slow_flush: Settings,
    make_writer: Callable[[int], KeyWriter],
    list_limits: Callable[..., None],
) -> None:
    list_limits(0, 2, 300)
    ledger = open_ledger(settings_of_a_slow_flush)
    mover, reader, *writers = [make_writer(seed) for seed in range(2 + WRITERS)]
    compared = threading.Event()

    def meanwhile(work: Callable[[], object]) -> int:
        times = 0
        while not compared.is_set():
            work()
            times += 1
        return times

    works = [
        *(writer.write for writer in writers),
        partial(move, mover),
        partial(ledger.replay.rebuild, "listing"),
        partial(ledger.api_keys.get_all, subject=SUBJECTS[0], initial_page=3),
    ]
    with ThreadPoolExecutor(len(works) + COMPARERS) as threads:
        others = [threads.submit(meanwhile, work) for work in works]
        comparing = [threads.submit(compare, reader.database, random.Random(seed)) for seed in range(COMPARERS)]
        wait(comparing)
        compared.set()

    statements = sum((each.result() for each in comparing), Counter())
    assert statements["list_many_keys"] > 0
    assert all(each.result() > 0 for each in others)
