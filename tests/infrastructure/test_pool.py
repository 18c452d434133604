"""The pool: what rests at hand, what goes back to psycopg's pool, and who gets what when."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from threading import Lock, Thread

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolClosed
from support.program import together
from support.waiting import eventually

from keyledger import KeyLedger
from keyledger.infrastructure import pool as pools
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.pool import Pool

LONG_SECONDS = 30.0


@pytest.fixture
def open_pool(dsn: str) -> Iterator[Callable[[int], Pool]]:
    """Opens pools of so many connections, as a ledger has them, which are closed after the test."""
    with ExitStack() as stack:

        def opened(max_connections: int) -> Pool:
            database = Database(dsn, max_connections=max_connections)
            stack.callback(database.close)
            return database._opened()

        yield opened


@pytest.fixture
def sessions(dsn: str) -> Iterator[Callable[[set[int]], int]]:
    """Counts which of these backends PostgreSQL still has."""
    with psycopg.connect(dsn, autocommit=True) as connection:

        def count(pids: set[int]) -> int:
            query = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
            row = connection.execute(query, [list(pids)]).fetchone()
            assert row is not None
            return int(row[0])

        yield count


def put_back(pool: Pool) -> int:
    """How many connections rest in psycopg's pool and not at hand."""
    return pool._pool.get_stats()["pool_available"]


def all_of(pool: Pool, number: int) -> list[DeadlineConnection]:
    return [pool.take(LONG_SECONDS) for _ in range(number)]


def backends(connections: list[DeadlineConnection]) -> set[int]:
    return {connection.info.backend_pid for connection in connections}


def test_the_connection_that_was_used_last_is_lent_first(open_pool: Callable[[int], Pool]) -> None:
    pool = open_pool(3)
    lent = all_of(pool, 3)
    for connection in lent:
        pool.give_back(connection)

    assert all_of(pool, 3) == lent[::-1]


def test_a_connection_that_is_given_back_rests_at_hand(open_pool: Callable[[int], Pool]) -> None:
    pool = open_pool(2)
    for connection in all_of(pool, 2):
        pool.give_back(connection)

    assert put_back(pool) == 0


def test_a_waiter_gets_the_connection_that_is_given_back(open_pool: Callable[[int], Pool]) -> None:
    pool = open_pool(1)
    connection = pool.take(LONG_SECONDS)
    got: list[DeadlineConnection] = []
    waiter = Thread(target=lambda: got.append(pool.take(LONG_SECONDS)), daemon=True)
    waiter.start()
    eventually(lambda: pool._pool.get_stats().get("requests_waiting"))

    pool.give_back(connection)
    waiter.join(LONG_SECONDS / 3)

    assert got == [connection]


def test_a_connection_that_is_given_back_as_the_waiter_gets_in_line_is_not_missed(
    open_pool: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_pool(1)
    lent = all_of(pool, 1)
    count = pool._count_waiting

    def count_late(change: int) -> None:
        for connection in [lent.pop()] if lent else []:
            pool.give_back(connection)  # the caller saw none at hand, and nobody saw the caller
        count(change)

    monkeypatch.setattr(pool, "_count_waiting", count_late)

    assert pool.take(0.5)


def test_one_connection_is_never_lent_to_two_and_nobody_waits_in_vain(open_pool: Callable[[int], Pool]) -> None:
    pool, lock, lent = open_pool(3), Lock(), set[DeadlineConnection]()

    def borrow() -> str:
        for _ in range(150):
            connection = pool.take(LONG_SECONDS / 3)
            with lock:
                assert connection not in lent
                lent.add(connection)
            time.sleep(0)  # let the others have their try
            with lock:
                lent.remove(connection)
            pool.give_back(connection)
        return "done"

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        assert together([borrow] * 16) == ["done"] * 16
    finally:
        sys.setswitchinterval(interval)


def test_a_connection_that_rested_too_long_goes_back_to_the_pool_that_shrinks(
    open_pool: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_pool(2)
    rested, used = all_of(pool, 2)
    pool.give_back(rested)
    monkeypatch.setattr(pools, "_IDLE_SECONDS", 0.0)

    pool.give_back(used)

    assert put_back(pool) == 1
    assert all_of(pool, 2) == [used, rested]


def test_a_connection_that_was_lent_for_long_goes_back_to_the_pool_that_retires(
    open_pool: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_pool(1)
    connection = pool.take(LONG_SECONDS)
    monkeypatch.setattr(pools, "_LOAN_SECONDS", 0.0)

    pool.give_back(connection)

    assert put_back(pool) == 1


def test_a_loan_begins_anew_when_the_connection_is_taken_from_the_pool_that_retires(
    open_pool: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_pool(1)
    connection = pool.take(LONG_SECONDS)
    with monkeypatch.context() as hasty:
        hasty.setattr(pools, "_LOAN_SECONDS", 0.0)
        pool.give_back(connection)

    pool.give_back(pool.take(LONG_SECONDS))

    assert put_back(pool) == 0


@pytest.mark.parametrize("statement", ["BEGIN", "BEGIN; SELECT 1"])
def test_a_connection_that_is_given_back_in_a_transaction_is_out_of_it_when_lent_again(
    open_pool: Callable[[int], Pool], statement: str
) -> None:
    pool = open_pool(1)
    connection = pool.take(LONG_SECONDS)
    connection.execute(statement.encode())

    pool.give_back(connection)

    assert pool.take(LONG_SECONDS).pgconn.transaction_status == TransactionStatus.IDLE


def test_a_connection_that_is_given_back_broken_is_replaced(open_pool: Callable[[int], Pool], dsn: str) -> None:
    pool = open_pool(1)
    connection = pool.take(LONG_SECONDS)
    with psycopg.connect(dsn, autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")

    pool.give_back(connection)

    assert pool.take(LONG_SECONDS).execute("SELECT 1").fetchone() == (1,)


def test_a_drain_replaces_every_connection(open_pool: Callable[[int], Pool]) -> None:
    pool = open_pool(3)
    lent = all_of(pool, 3)
    before = backends(lent)
    for connection in lent[:2]:
        pool.give_back(connection)

    pool.drain()
    pool.give_back(lent[2])
    pool.drain()

    assert backends(all_of(pool, 3)).isdisjoint(before)


def test_a_closed_pool_has_no_sessions_once_everything_is_given_back(
    open_pool: Callable[[int], Pool], sessions: Callable[[set[int]], int]
) -> None:
    pool = open_pool(3)
    lent = all_of(pool, 3)
    of_pool = backends(lent)
    pool.give_back(lent[0])
    pool.give_back(lent[1])

    pool.close()
    eventually(lambda: sessions(of_pool) == 1)
    pool.give_back(lent[2])

    eventually(lambda: sessions(of_pool) == 0)
    with pytest.raises(PoolClosed):
        pool.take(LONG_SECONDS)


def test_a_connection_that_is_given_back_while_the_pool_closes_is_closed(
    open_pool: Callable[[int], Pool], sessions: Callable[[set[int]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = open_pool(1)
    connection = pool.take(LONG_SECONDS)
    of_pool = backends([connection])

    class ClosedMeanwhile:
        """The status that is asked for after the first look at whether the pool is closed."""

        @property
        def IDLE(self) -> TransactionStatus:  # noqa: N802
            pool.close()
            return TransactionStatus.IDLE

    monkeypatch.setattr(pools, "TransactionStatus", ClosedMeanwhile())
    pool.give_back(connection)

    eventually(lambda: sessions(of_pool) == 0)


def test_dates_are_read_whatever_the_form_that_the_database_gives_them(new_database: Callable[[], str]) -> None:
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = conninfo_to_dict(dsn)["dbname"]
        connection.execute(f"ALTER DATABASE {name} SET datestyle TO 'German, DMY'".encode())
    with KeyLedger.open(dsn) as ledger:
        begun = datetime.now(UTC)
        key = ledger.api_keys.create(name="one", subject="org_1", seconds_until_expiration=3600.0)

        read = ledger.api_keys.get(key.id)

        assert (read.created_at, read.expiration) == (key.created_at, key.expiration)
        assert begun <= read.created_at <= datetime.now(UTC)
        assert read.expiration == read.created_at + timedelta(hours=1)
        assert ledger.api_keys.get_all(subject="org_1").data == (read,)
        assert ledger.verify(str(key.secret)).valid
