"""The server commits, and the connection dies before it says so."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from faults.calls import WRITES, Call
from support.invariants import accepted_uses, assert_consistent, topics
from support.proxy import Proxy
from support.waiting import eventually

from keyledger import KeyLedger, Settings, Use

# With no worker, the answer that gets lost is the caller's.
SLOW_FLUSH = Settings(flush_interval_seconds=3600.0, database_timeout_seconds=30.0, background_worker=False)
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'keyledger'"
    " AND datname = current_database()"
)


@pytest.fixture
def far(proxy: Proxy) -> Iterator[KeyLedger]:
    """A ledger on the other side of the network."""
    with KeyLedger.open(proxy.dsn, settings=SLOW_FLUSH) as ledger:
        yield ledger


@pytest.fixture(params=[1, 3], ids=["lost once", "lost three times"])
def losses(request: pytest.FixtureRequest) -> int:
    """How many answers in a row are lost."""
    return int(request.param)


def test_a_create_whose_answer_is_lost_makes_one_key_and_returns_its_secret(
    far: KeyLedger, proxy: Proxy, dsn: str, losses: int
) -> None:
    proxy.lose_answer_to_commits(losses)

    key = far.api_keys.create(name="one", subject="org_1")

    assert proxy.losses_left == 0
    assert topics(dsn, key.id) == ["KeyCreated"]
    assert far.api_keys.get_all(subject="org_1").total_count == 1
    assert far.verify(str(key.secret)).valid
    far.event_rows(key.id)
    assert_consistent(dsn)


def test_a_create_with_an_idempotency_key_whose_answer_is_lost_still_returns_the_secret(
    far: KeyLedger, proxy: Proxy, dsn: str, losses: int
) -> None:
    proxy.lose_answer_to_commits(losses)

    key = far.api_keys.create(name="one", subject="org_1", idempotency_key="k")

    assert proxy.losses_left == 0
    assert (key.secret is not None, key.secret_already_issued) == (True, False)
    assert far.api_keys.get_all(subject="org_1").total_count == 1
    again = far.api_keys.create(name="one", subject="org_1", idempotency_key="k")
    assert (again.id, again.secret, again.secret_already_issued) == (key.id, None, True)
    assert_consistent(dsn)


def test_an_update_whose_answer_is_lost_is_recorded_once(
    far: KeyLedger, proxy: Proxy, dsn: str, losses: int
) -> None:
    key = far.api_keys.create(name="one", subject="org_1")
    proxy.lose_answer_to_commits(losses)

    updated = far.api_keys.update(key.id, description="new", seconds_until_expiration=60)

    assert proxy.losses_left == 0
    assert updated.description == "new"
    assert updated == far.api_keys.get(key.id)
    assert topics(dsn, key.id) == ["KeyCreated", "KeyUpdated"]
    assert_consistent(dsn)


def test_a_revocation_whose_answer_is_lost_is_recorded_once_with_its_reason(
    far: KeyLedger, proxy: Proxy, dsn: str, losses: int
) -> None:
    key = far.api_keys.create(name="one", subject="org_1")
    proxy.lose_answer_to_commits(losses)

    revoked = far.api_keys.revoke(key.id, revocation_reason="leaked")

    assert proxy.losses_left == 0
    assert (revoked.revoked, revoked.revocation_reason) == (True, "leaked")
    assert topics(dsn, key.id) == ["KeyCreated", "KeyRevoked"]
    assert_consistent(dsn)


def test_a_flush_whose_answer_is_lost_stores_its_uses_once(
    far: KeyLedger, proxy: Proxy, dsn: str, losses: int
) -> None:
    keys = [far.api_keys.create(name=f"key {number}", subject="org_1") for number in range(5)]
    for number in range(50):
        assert far.verify(str(keys[number % 5].secret), use=Use(request_id=f"use {number}")).valid
    proxy.lose_answer_to_commits(losses)

    far._recorder.flush()

    assert proxy.losses_left == 0
    assert accepted_uses(dsn) == {f"use {number}": 1 for number in range(50)}
    assert [topics(dsn, key.id) for key in keys] == [["KeyCreated", "KeyUsed"]] * 5
    assert_consistent(dsn)


def test_an_update_whose_answer_is_lost_before_another_writer_updates_is_not_made_twice(
    far: KeyLedger, ledger: KeyLedger, proxy: Proxy, dsn: str
) -> None:
    key = far.api_keys.create(name="one", subject="org_1")
    lose = proxy.pass_answer

    def pass_answer() -> bool:
        passed = lose()
        if not passed:
            ledger.api_keys.update(key.id, description="later")
        return passed

    proxy.pass_answer = pass_answer  # type: ignore[method-assign]
    proxy.lose_answer_to_commits()

    far.api_keys.update(key.id, description="earlier")

    assert proxy.losses_left == 0
    assert topics(dsn, key.id) == ["KeyCreated", "KeyUpdated", "KeyUpdated"]
    assert ledger.api_keys.get(key.id).description == "later"


def test_an_update_whose_answer_is_lost_before_another_revokes_is_no_error(
    far: KeyLedger, ledger: KeyLedger, proxy: Proxy, dsn: str
) -> None:
    key = far.api_keys.create(name="one", subject="org_1")
    lose = proxy.pass_answer

    def pass_answer() -> bool:
        passed = lose()
        if not passed:
            ledger.api_keys.revoke(key.id)
        return passed

    proxy.pass_answer = pass_answer  # type: ignore[method-assign]
    proxy.lose_answer_to_commits()

    updated = far.api_keys.update(key.id, description="in time")

    assert (updated.description, updated.revoked) == ("in time", True)
    assert topics(dsn, key.id) == ["KeyCreated", "KeyUpdated", "KeyRevoked"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_command_whose_first_try_is_still_at_work_when_it_is_sent_again_is_done_once(
    write: Call, far: KeyLedger, proxy: Proxy, dsn: str
) -> None:
    key = far.api_keys.create(name="one", subject="org_1")
    assert far.verify(str(key.secret)).valid
    with (
        ThreadPoolExecutor() as threads,
        psycopg.connect(dsn) as blocker,
        psycopg.connect(dsn, autocommit=True) as observer,
    ):
        blocker.execute("LOCK TABLE keyledger.outbox IN SHARE MODE")
        called = threads.submit(write, far, key)
        eventually(lambda: observer.execute(WAITING).fetchone() == (1,))
        proxy.cut()
        # The first try does not notice that nobody waits for it.
        eventually(lambda: observer.execute(WAITING).fetchone() == (2,))
        blocker.commit()
        called.result()
        eventually(lambda: observer.execute(WAITING).fetchone() == (0,))
        counted = observer.execute("SELECT count(*) FROM keyledger.events").fetchone()

    assert counted == (2,)
    assert_consistent(dsn)
