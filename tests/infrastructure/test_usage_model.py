"""What the usage read model's tables say of a key, a moment after it was used."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from support.waiting import eventually

from keyledger import APIKey, KeyLedger, Use
from keyledger.domain.ids import parse_key_id
from keyledger.domain.microseconds import microseconds

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    """The service's clock, which a test sets."""

    def __init__(self, ledger: KeyLedger) -> None:
        self.now = NOON
        ledger._recorder._clock_ns = lambda: microseconds(self.now) * 1_000


@pytest.fixture
def clock(ledger: KeyLedger) -> Clock:
    return Clock(ledger)


@pytest.fixture
def key(ledger: KeyLedger) -> APIKey:
    return ledger.api_keys.create(name="used", subject="org_1")


def rows(dsn: str, key: APIKey, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode(), [parse_key_id(key.id)]).fetchall()


def figures(dsn: str, key: APIKey) -> tuple[Any, ...] | None:
    query = "SELECT uses, refused, first_used_at, first_address, last_used_at, last_address"
    found = rows(dsn, key, f"{query} FROM keyledger.key_usage WHERE id = %s")
    return found[0] if found else None


def days(dsn: str, key: APIKey) -> list[tuple[Any, ...]]:
    return rows(dsn, key, "SELECT day, uses, refused FROM keyledger.key_usage_days WHERE id = %s ORDER BY day")


def use(ledger: KeyLedger, clock: Clock, key: APIKey, hours: float, address: str, **asked: Any) -> None:
    """Verify the key at so many hours past noon."""
    clock.now = NOON + timedelta(hours=hours)
    ledger.verify(str(key.secret), use=Use(ip_address=address), **asked)


def test_the_worker_counts_uses_and_keeps_the_first_and_the_last_with_their_addresses(
    ledger: KeyLedger, clock: Clock, key: APIKey, dsn: str
) -> None:
    use(ledger, clock, key, 1, "192.0.2.1")
    use(ledger, clock, key, 0, "192.0.2.2")
    use(ledger, clock, key, 3, "2001:db8::1")
    use(ledger, clock, key, 4, "192.0.2.9", scopes=["not its own"])

    eventually(lambda: (found := figures(dsn, key)) is not None and found[:2] == (3, 1))
    assert figures(dsn, key) == (3, 1, NOON, "192.0.2.2", NOON + timedelta(hours=3), "2001:db8::1")
    assert ledger.api_keys.get(key.id).last_used_at == NOON + timedelta(hours=3)


def test_the_worker_keeps_a_series_of_days(ledger: KeyLedger, clock: Clock, key: APIKey, dsn: str) -> None:
    for hours in (0, 11, 12, 13, 60):
        use(ledger, clock, key, hours, "192.0.2.1")
    use(ledger, clock, key, 61, "192.0.2.1", scopes=["not its own"])

    expected = [(date(2026, 11, 20), 2, 0), (date(2026, 11, 21), 2, 0), (date(2026, 11, 23), 1, 1)]
    eventually(lambda: days(dsn, key) == expected)


def test_a_key_that_was_never_used_has_no_figures(ledger: KeyLedger, key: APIKey, dsn: str) -> None:
    ledger.catch_up()

    assert (figures(dsn, key), days(dsn, key)) == (None, [])
