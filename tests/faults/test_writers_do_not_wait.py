"""Writers of different keys do not wait for each other."""

from collections.abc import Callable
from itertools import count

import psycopg
import pytest
from faults.calls import WRITES, Call
from faults.held import table_locks, uncommitted
from support.invariants import accepted_uses, assert_consistent
from support.program import together
from support.waiting import eventually

from keyledger import KeyLedger, Settings, Use

IMPATIENT = Settings(database_timeout_seconds=3.0, flush_interval_seconds=0.05)


def live_through(ledger: KeyLedger, number: int) -> str:
    """The whole life of a key; its id."""
    key = ledger.api_keys.create(name=f"key {number}", subject="org_1", idempotency_key=f"life {number}")
    ledger.api_keys.update(key.id, description="changed")
    assert ledger.verify(str(key.secret), use=Use(request_id=f"use {number}")).valid
    ledger._recorder.flush()
    ledger.api_keys.revoke(key.id)
    assert ledger.verify(str(key.secret)).code == "revoked"
    return key.id


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_an_uncommitted_write_of_one_key_holds_up_no_other_key(
    write: Call, open_ledger: Callable[[Settings], KeyLedger], dsn: str
) -> None:
    ledger = open_ledger(IMPATIENT)
    other = ledger.api_keys.create(name="held", subject="org_1")
    with uncommitted(dsn) as (held, connection):
        assert held.verify(str(other.secret)).valid
        write(held, other)

        lived = together([lambda number=number: live_through(ledger, number) for number in range(16)])

        assert len({key_id for key_id in lived if isinstance(key_id, str)}) == 16, lived
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    assert_consistent(dsn)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_write_takes_no_lock_on_the_events_but_that_of_an_ordinary_insert(
    write: Call, ledger: KeyLedger, dsn: str
) -> None:
    key = ledger.api_keys.create(name="held", subject="org_1")
    with uncommitted(dsn) as (held, connection):
        assert held.verify(str(key.secret)).valid
        write(held, key)

        locks = table_locks(dsn, connection)

    reading = {"AccessShareLock"}
    assert locks["events"] - reading == {"RowExclusiveLock"}
    assert locks["outbox"] - reading == {"RowExclusiveLock"}
    assert {mode for modes in locks.values() for mode in modes} <= {"RowExclusiveLock", *reading}


def test_a_write_waits_for_no_reader_and_no_vacuum_of_the_events(
    open_ledger: Callable[[Settings], KeyLedger], dsn: str
) -> None:
    ledger = open_ledger(IMPATIENT)
    with psycopg.connect(dsn) as reader:
        # ShareUpdateExclusive is the mode of a running VACUUM.
        reader.execute("LOCK TABLE keyledger.events IN SHARE UPDATE EXCLUSIVE MODE")
        reader.execute("SELECT * FROM keyledger.events, keyledger.api_keys")

        live_through(ledger, 1)


def test_a_write_waits_for_an_uncommitted_write_of_the_same_key_and_then_succeeds(
    open_ledger: Callable[[], KeyLedger], dsn: str
) -> None:
    ledger = open_ledger()
    key = ledger.api_keys.create(name="contested", subject="org_1")
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'keyledger'"
        " AND datname = current_database()"
    )
    with uncommitted(dsn) as (held, connection), psycopg.connect(dsn, autocommit=True) as observer:
        held.api_keys.update(key.id, description="first")

        def commit_when_awaited() -> None:
            eventually(lambda: observer.execute(waiting).fetchone() != (0,))
            connection.commit()

        committed, revoked = together([commit_when_awaited, lambda: ledger.api_keys.revoke(key.id)])

    assert committed is None
    assert not isinstance(revoked, Exception | None)
    assert (revoked.description, revoked.revoked) == ("first", True)
    assert_consistent(dsn)


def test_sixteen_threads_on_keys_of_their_own_lose_nothing(ledger: KeyLedger, dsn: str) -> None:
    numbers = count()

    def work() -> list[str]:
        return [live_through(ledger, next(numbers)) for _ in range(5)]

    lived = together([work] * 16)

    assert not [error for error in lived if isinstance(error, Exception)]
    assert accepted_uses(dsn) == {f"use {number}": 1 for number in range(80)}
    assert_consistent(dsn)
