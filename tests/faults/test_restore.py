"""A dump, taken while everybody works, is restored into a fresh cluster, whose transactions begin anew."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from faults.private_server import PrivateServer
from support import lives
from support.invariants import assert_consistent
from support.sequencing import catch_up, positioned

from keyledger import KeyLedger, Settings
from keyledger.infrastructure.embedded.binaries import find_binaries

LAZY = Settings(flush_interval_seconds=3600.0, background_worker=False)
Restore = Callable[[], str]


@pytest.fixture
def restore(dsn: str, private_server: PrivateServer, tmp_path: Path) -> Restore:
    """Dumps the test's database as README says, restores it on another server, and returns that DSN."""

    def run() -> str:
        programs, dump = find_binaries(None).folder, tmp_path / "dump"
        target = private_server.new_dsn(migrated=False)
        for command in (
            [programs / "pg_dump", "-n", "keyledger", "-Fc", "-f", dump, "-d", dsn],
            [programs / "pg_restore", "--exit-on-error", "--no-owner", "-d", target, dump],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        return target

    return run


@pytest.fixture
def writing(ledger: KeyLedger) -> Iterator[None]:
    """Meanwhile keys are made, used, changed and revoked, and a worker follows."""
    over = Event()

    def write() -> None:
        while not over.is_set():
            lives.live(ledger, 2)

    threads = [Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


def order(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        query = "SELECT originator_id, originator_version FROM keyledger.positions ORDER BY position"
        return connection.execute(query).fetchall()


def test_what_was_dumped_while_all_go_on_is_complete_and_goes_on(writing: None, restore: Restore) -> None:
    restored = restore()
    before = positioned(restored)

    with KeyLedger.open(restored) as ledger:
        lives.live(ledger, 3)
        ledger.catch_up()
        assert ledger.status().health == "ok"
        assert ledger.replay.verify_projections().ok
    assert positioned(restored) > before
    assert_consistent(restored)


def test_events_keep_their_positions_and_those_without_get_theirs(dsn: str, restore: Restore) -> None:
    with KeyLedger.open(dsn, settings=LAZY) as ledger:
        lives.live(ledger, 3)
        ledger.catch_up()
        given = order(dsn)
        waiting = lives.live(ledger, 2)

        restored = restore()
        assert order(restored) == given
        assert catch_up(restored) == len(order(restored)) > len(given)
        assert catch_up(dsn) == catch_up(restored)

    assert order(restored) == order(dsn)
    with KeyLedger.open(restored, settings=LAZY) as ledger:
        assert [ledger.api_keys.get(key.id).id for key in waiting] == [key.id for key in waiting]
        assert all(each.equal for each in ledger.replay.rebuild().projections)
    assert_consistent(restored)
