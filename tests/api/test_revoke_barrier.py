"""`revoke(barrier=True)`: what it waits for."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.proxy import Proxy

from keyledger import APIKey, KeyLedger, LedgerUnavailable, Settings

HASTY = Settings(flush_interval_seconds=600, database_timeout_seconds=0.5, background_worker=False)


def known(ledger: KeyLedger, key: APIKey) -> None:
    assert ledger.verify(key.secret).valid


def test_a_barrier_is_over_once_every_process_has_acknowledged_it(
    ledger: KeyLedger, other: KeyLedger, create: Callable[..., APIKey], dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create()
    known(ledger, key)
    known(other, key)
    register = ledger._memory.changes._barrier._register
    counts: list[int] = []
    ask = register.unacknowledged

    def counted(*arguments: Any) -> tuple[int, float]:
        found = ask(*arguments)
        counts.append(found[0])
        return found[0], 3600.0  # who waits for the lease's end waits for an hour

    monkeypatch.setattr(register, "unacknowledged", counted)

    ledger.api_keys.revoke(key.id, barrier=True)

    assert counts[-1] == 0
    assert other.verify(key.secret).code == "revoked"
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT acknowledged FROM keyledger.verifiers").fetchall()
        barriers = connection.execute("SELECT max(number) FROM keyledger.barriers").fetchone()
    assert len(rows) == 2
    assert barriers in rows


def test_a_barrier_waits_for_the_lease_of_a_process_that_does_not_answer(
    ledger: KeyLedger, create: Callable[..., APIKey], proxy: Proxy
) -> None:
    key = create()
    with KeyLedger.open(proxy.dsn, settings=HASTY) as silent:
        known(silent, key)
        proxy.stall()

        ledger.api_keys.revoke(key.id, barrier=True)

        assert not silent._memory.lease.holds
        with pytest.raises(LedgerUnavailable):
            silent.verify(key.secret)
        proxy.resume()


def test_a_process_that_was_closed_is_not_waited_for(
    ledger: KeyLedger, dsn: str, create: Callable[..., APIKey]
) -> None:
    key = create()
    with KeyLedger.open(dsn) as closed:
        known(closed, key)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT FROM keyledger.verifiers").rowcount == 0
    assert ledger.api_keys.revoke(key.id, barrier=True).revoked


def test_a_second_revocation_can_wait_behind_a_barrier_too(
    ledger: KeyLedger, other: KeyLedger, create: Callable[..., APIKey]
) -> None:
    key = create()
    known(other, key)
    ledger.api_keys.revoke(key.id, revocation_reason="first")
    assert ledger.api_keys.revoke(key.id, barrier=True).revocation_reason == "first"
    assert other.verify(key.secret).code == "revoked"
