"""Lists while keys are written, counted and moved, and the counts rebuilt: each page is that of a snapshot."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from support.key_writer import SUBJECTS, KeyWriter, Wanted, listed, plain

from keyledger import KeyLedger
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database

WRITERS = 3
EVENTS = 150
TERMS = ("", "", "e", "世", "%")


@contextmanager
def snapshot(connection: DeadlineConnection) -> Iterator[None]:
    """Taken when nobody is putting other tables in the places of these, and nobody can until its end."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table in ("api_keys", "listed_keys", "key_counts"):
            connection.execute(f"LOCK TABLE keyledger.{table} IN ACCESS SHARE MODE".encode())
        yield


def assert_some_page(database: Database, chance: random.Random) -> list[str]:
    """A page is what plain SQL gives in the same snapshot; returns the statements that found it."""
    wanted = Wanted(
        chance.choice(SUBJECTS),
        chance.choice(TERMS),
        chance.randint(0, 60),
        chance.randint(1, 9),
        chance.random() < 0.5,
    )

    def compare(connection: DeadlineConnection) -> list[str]:
        with snapshot(connection):
            before = None
            while True:  # until no key expires between the two
                ids, count = plain(connection, wanted)
                if (ids, count) == before:
                    break
                before = ids, count
                found, total, statements = listed(connection, wanted)
        assert found == ids, wanted
        assert count in (total, None), wanted
        return statements

    return database.run(compare)


def test_every_page_is_that_of_a_snapshot_whatever_happens_meanwhile(
    ledger: KeyLedger, make_writer: Callable[[int], KeyWriter], list_limits: Callable[..., None]
) -> None:
    list_limits(0, 2, 25)
    writers = [make_writer(seed) for seed in range(WRITERS)]
    written = threading.Event()

    def write(writer: KeyWriter) -> None:
        for _ in range(EVENTS):
            writer.write()

    def rebuild() -> int:
        rebuilt = 0
        while not written.is_set():
            ledger.replay.rebuild("listing")
            rebuilt += 1
        return rebuilt

    def compare(seed: int) -> list[tuple[str, ...]]:
        chance, ways = random.Random(seed), []
        while not written.is_set():
            ways.append(tuple(assert_some_page(writers[0].database, chance)))
        return ways

    def read(seed: int) -> int:
        chance, pages = random.Random(seed), 0
        while not written.is_set():
            ledger.api_keys.get_all(subject=chance.choice(SUBJECTS), initial_page=chance.randint(1, 9))
            pages += 1
        return pages

    with ThreadPoolExecutor(WRITERS + 4) as threads:
        writing = [threads.submit(write, writer) for writer in writers]
        others = (
            threads.submit(rebuild),
            threads.submit(compare, 1),
            threads.submit(compare, 2),
            threads.submit(read, 3),
        )
        try:
            for each in writing:
                each.result()
        finally:
            written.set()
        rebuilt, *ways, pages = (each.result() for each in others)

    ledger.catch_up()
    after = [assert_some_page(writers[0].database, random.Random(seed)) for seed in range(50)]
    assert rebuilt
    assert pages
    assert all(ways)
    assert ["list_few_keys", "list_many_keys"] in after
