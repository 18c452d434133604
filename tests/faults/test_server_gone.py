"""PostgreSQL goes away, before a call and in the middle of it, and comes back."""

import logging
import os
import signal
import time
from threading import Event

import psycopg
import pytest
from faults.calls import CALLS, Call
from faults.private_server import PrivateServer
from support.invariants import accepted_uses, assert_consistent
from support.program import together
from support.proxy import Proxy
from support.waiting import eventually

from keyledger import KeyLedger, LedgerUnavailable, Settings, Use
from keyledger.domain.ids import halves, parse_key_id

# Verifications ask as well: what is decided from memory, and for how long, has tests of its own.
HASTY = Settings(database_timeout_seconds=1.0, flush_interval_seconds=3600.0, cache_entries=0)
PATIENT = Settings(database_timeout_seconds=30.0, flush_interval_seconds=0.02)
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyledger'"
    " AND datname = current_database()"
)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_without_a_server_is_unavailable_in_time_and_works_once_it_is_back(
    call: Call, proxy: Proxy, dsn: str
) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        ledger.verify(str(key.secret), use=Use(request_id="use"))
        proxy.refuse()
        begun = time.monotonic()
        with pytest.raises(LedgerUnavailable):
            call(ledger, key)
        assert time.monotonic() - begun < 3.0
        proxy.refuse(False)

        call(ledger, key)

    assert accepted_uses(dsn)["use"] == 1
    assert_consistent(dsn)


def test_the_pool_reconnects_after_a_server_was_away_for_longer_than_it_tries_to(proxy: Proxy) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        proxy.refuse()
        for _ in range(4):  # the pool gives up on a connection after a second
            with pytest.raises(LedgerUnavailable):
                ledger.api_keys.get(key.id)
        proxy.refuse(False)

        assert ledger.api_keys.get(key.id) == key.reload()


def test_a_killed_and_restarted_server_is_met_by_the_next_call_with_all_that_was_committed(
    private_server: PrivateServer,
) -> None:
    dsn = private_server.new_dsn()
    with KeyLedger.open(dsn, settings=HASTY) as ledger:
        keys = [ledger.api_keys.create(name=f"key {number}", subject="org_1") for number in range(20)]
        ledger.verify(str(keys[0].secret), use=Use(request_id="use"))
        private_server.kill()
        with pytest.raises(LedgerUnavailable):
            ledger.api_keys.create(name="never", subject="org_1")
        with pytest.raises(LedgerUnavailable):
            ledger.verify(str(keys[0].secret))
        private_server.start()

        assert all(ledger.verify(str(key.secret)).valid for key in keys)
        assert ledger.api_keys.get_all(subject="org_1").total_count == 20
    assert accepted_uses(dsn)["use"] == 1
    assert_consistent(dsn)


def test_calls_ride_over_sessions_that_are_terminated_in_mid_traffic(dsn: str) -> None:
    done = Event()

    def live(thread: int) -> list[str]:
        lived = []
        while not done.is_set():
            key = ledger.api_keys.create(name="one", subject="org_1")
            assert ledger.api_keys.update(key.id, description="new").description == "new"
            request_id = f"{thread}-{len(lived)}"
            assert ledger.verify(str(key.secret), use=Use(request_id=request_id)).valid
            assert ledger.api_keys.revoke(key.id, revocation_reason="enough").revocation_reason == "enough"
            lived.append(request_id)
        return lived

    def terminate() -> list[str]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for _ in range(25):
                connection.execute(TERMINATE)
                time.sleep(0.02)
        done.set()
        return []

    with KeyLedger.open(dsn, settings=PATIENT) as ledger:
        results = together([*(lambda thread=thread: live(thread) for thread in range(4)), terminate])

    assert not [error for error in results if isinstance(error, Exception)]
    lived = [request_id for result in results if isinstance(result, list) for request_id in result]
    assert lived
    assert accepted_uses(dsn) == dict.fromkeys(lived, 1)
    with psycopg.connect(dsn) as connection:
        counts = connection.execute("SELECT topic, count(*) FROM keyledger.events GROUP BY topic").fetchall()
    assert {topic: count for topic, count in counts if topic != "KeyUsed"} == dict.fromkeys(
        ("KeyCreated", "KeyUpdated", "KeyRevoked"), len(lived)
    )
    assert_consistent(dsn)


@pytest.mark.parametrize("rounds", [3, pytest.param(15, marks=pytest.mark.slow)])
def test_calls_ride_over_a_server_that_is_killed_in_mid_traffic(
    rounds: int, private_server: PrivateServer
) -> None:
    dsn = private_server.new_dsn()
    done = Event()

    def live(thread: int) -> list[str]:
        lived = []
        while not done.is_set():
            request_id = f"{thread}-{len(lived)}"
            key = ledger.api_keys.create(name="one", subject="org_1", idempotency_key=request_id)
            assert ledger.verify(str(key.secret), use=Use(request_id=request_id)).valid
            assert ledger.api_keys.revoke(key.id, revocation_reason="enough").revocation_reason == "enough"
            lived.append(request_id)
        return lived

    def kill() -> list[str]:
        try:
            for _ in range(rounds):
                time.sleep(0.2)
                private_server.kill()
                private_server.start()
        finally:
            done.set()
        return []

    with KeyLedger.open(dsn, settings=PATIENT) as ledger:
        results = together([*(lambda thread=thread: live(thread) for thread in range(3)), kill])

    assert not [error for error in results if isinstance(error, Exception)]
    lived = [request_id for result in results if isinstance(result, list) for request_id in result]
    assert lived
    assert accepted_uses(dsn) == dict.fromkeys(lived, 1)
    assert_consistent(dsn)


def await_server(ledger: KeyLedger) -> None:
    """Wait until the embedded server takes connections."""
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(ledger._database._conninfo).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            assert ledger._server is not None
            ledger._server.ensure_running()
        else:
            return


def test_an_embedded_ledger_restarts_its_killed_server_in_the_next_call(private_server: PrivateServer) -> None:
    with KeyLedger.open(data_dir=private_server.data_dir, settings=PATIENT) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        for number in range(3):
            private_server.send(signal.SIGKILL)

            assert ledger.api_keys.get(key.id).name == "one"
            assert ledger.verify(str(key.secret), use=Use(request_id=f"ridden over {number}")).valid
            await_server(
                ledger
            )  # those answers may have come from a session that outlived its server for a moment
        other = ledger.api_keys.create(name="other", subject="org_1")
        private_server.send(signal.SIGKILL)
        assert ledger.api_keys.revoke(other.id).revoked
        ledger.event_rows(key.id)
        await_server(ledger)
        stored = accepted_uses(ledger._database._conninfo)
        assert {number: stored[f"ridden over {number}"] for number in range(3)} == {0: 1, 1: 1, 2: 1}
        assert_consistent(ledger._database._conninfo)


def test_a_close_without_a_server_keeps_the_uses_and_a_later_one_stores_them(proxy: Proxy, dsn: str) -> None:
    ledger = KeyLedger.open(proxy.dsn, settings=HASTY)
    key = ledger.api_keys.create(name="one", subject="org_1")
    for number in range(10):
        ledger.verify(str(key.secret), use=Use(request_id=f"use {number}"))
    proxy.refuse()
    with pytest.raises(LedgerUnavailable, match="10 recorded uses"):
        ledger.close()
    proxy.refuse(False)

    ledger.close()

    assert accepted_uses(dsn) == {f"use {number}": 1 for number in range(10)}
    assert_consistent(dsn)


def test_a_ledger_whose_close_failed_works_on_and_stores_its_uses(proxy: Proxy, dsn: str) -> None:
    settings = Settings(database_timeout_seconds=1.0, flush_interval_seconds=0.02)
    ledger = KeyLedger.open(proxy.dsn, settings=settings)
    key = ledger.api_keys.create(name="one", subject="org_1")
    ledger.verify(str(key.secret), use=Use(request_id="before"))
    proxy.refuse()
    ledger._recorder.record(*halves(parse_key_id(key.id)), "valid", Use(request_id="away"))
    with pytest.raises(LedgerUnavailable):
        ledger.close()
    proxy.refuse(False)

    ledger.verify(str(key.secret), use=Use(request_id="after"))

    eventually(lambda: accepted_uses(dsn) == {"before": 1, "away": 1, "after": 1})
    ledger.close()


def test_a_close_without_a_server_and_without_uses_is_no_error(proxy: Proxy) -> None:
    ledger = KeyLedger.open(proxy.dsn, settings=HASTY)
    ledger.api_keys.create(name="one", subject="org_1")
    proxy.refuse()

    ledger.close()


def test_uses_that_wait_for_an_absent_server_are_spoken_of_and_stored_when_it_is_back(
    proxy: Proxy, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(database_timeout_seconds=0.3, flush_interval_seconds=0.3)
    with KeyLedger.open(proxy.dsn, settings=settings) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        with caplog.at_level(logging.WARNING, "keyledger.uses"):
            ledger.verify(str(key.secret), use=Use(request_id="use"))
            proxy.refuse()
            eventually(lambda: "1 uses wait to be stored" in caplog.text)
        proxy.refuse(False)

        eventually(lambda: accepted_uses(dsn) == {"use": 1})
        assert str(key.secret) not in caplog.text


def test_opening_waits_for_a_server_that_is_recovering(private_server: PrivateServer) -> None:
    dsn = private_server.new_dsn()
    with psycopg.connect(dsn, autocommit=True) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGKILL)  # the postmaster ends every session and recovers
    KeyLedger.open(dsn, settings=PATIENT).close()
