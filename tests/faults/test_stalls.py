"""The network or the server stops answering, without a word."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from faults.calls import CALLS, Call
from faults.private_server import PrivateServer
from support.invariants import accepted_uses, assert_consistent
from support.program import together
from support.proxy import Proxy

from keyledger import KeyLedger, LedgerUnavailable, Settings, Use

TIMEOUT_SECONDS = 1.0
SLACK_SECONDS = 2.0
# Verifications ask as well: what is decided from memory, and for how long, has tests of its own.
HASTY = Settings(
    database_timeout_seconds=TIMEOUT_SECONDS, flush_interval_seconds=3600.0, max_connections=4, cache_entries=0
)


@contextmanager
def unavailable_in_time() -> Iterator[None]:
    """LedgerUnavailable, after the time-out at the latest: a promise of the contract, not a measure of speed."""
    begun = time.monotonic()
    with pytest.raises(LedgerUnavailable):
        yield
    assert time.monotonic() - begun < TIMEOUT_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_on_a_stalled_network_is_unavailable_in_time_and_works_after_it(
    call: Call, proxy: Proxy, dsn: str
) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        ledger.verify(str(key.secret), use=Use(request_id="use"))
        proxy.stall()
        with unavailable_in_time():
            call(ledger, key)
        proxy.resume()

        call(ledger, key)

    assert accepted_uses(dsn)["use"] == 1
    assert_consistent(dsn)


def test_a_call_that_gets_no_connection_is_unavailable_in_time(proxy: Proxy) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        with psycopg.connect(proxy.dsn) as blocker:
            blocker.execute("SELECT * FROM keyledger.api_keys FOR UPDATE")
            with unavailable_in_time():
                ledger.api_keys.revoke(key.id)
            results = together([lambda: ledger.api_keys.update(key.id, description="new")] * 12)
            assert {type(result) for result in results} == {LedgerUnavailable}
            assert not ledger.api_keys.get(key.id).revoked

        assert ledger.api_keys.revoke(key.id).revoked


def test_calls_beyond_the_pool_are_unavailable_in_time_and_the_pool_recovers(proxy: Proxy) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        ledger.api_keys.create(name="one", subject="org_1")
        held = [ledger._database._opened().take(5.0) for _ in range(HASTY.max_connections)]
        with unavailable_in_time():
            ledger.api_keys.get_all(subject="org_1")
        for connection in held:
            ledger._database._opened().give_back(connection)

        assert ledger.api_keys.get_all(subject="org_1").total_count == 1


def test_after_the_network_forgot_every_connection_one_call_fails_and_the_next_works(proxy: Proxy) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        pool = ledger._database._opened()
        for connection in [pool.take(5.0) for _ in range(HASTY.max_connections)]:
            pool.give_back(connection)
        proxy.forget()
        with unavailable_in_time():
            ledger.api_keys.get(key.id)

        assert ledger.api_keys.get(key.id) == key.reload()


def test_opening_on_a_stalled_network_is_unavailable_in_time(proxy: Proxy) -> None:
    proxy.stall()
    with unavailable_in_time():
        KeyLedger.open(proxy.dsn, settings=HASTY)


def test_opening_and_migrating_without_a_network_is_unavailable_in_time(proxy: Proxy) -> None:
    proxy.refuse()
    with unavailable_in_time():
        KeyLedger.open(proxy.dsn, settings=HASTY, migrate=True)


def test_a_frozen_server_is_unavailable_in_time_and_serves_again_once_it_thaws(
    private_server: PrivateServer,
) -> None:
    dsn = private_server.new_dsn()
    with KeyLedger.open(dsn, settings=HASTY) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        backends = backend_pids(dsn)
        private_server.freeze(backends)
        try:
            with unavailable_in_time():
                ledger.api_keys.update(key.id, description="new")
            with unavailable_in_time():
                ledger.verify(str(key.secret))
        finally:
            private_server.freeze(backends, signal.SIGCONT)

        assert ledger.api_keys.update(key.id, description="new").description == "new"
        assert ledger.verify(str(key.secret)).valid
    assert_consistent(dsn)


def backend_pids(dsn: str) -> list[int]:
    query = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'keyledger' AND datname = current_database()"
    )
    with psycopg.connect(dsn) as connection:
        return [pid for (pid,) in connection.execute(query)]
