"""Uses: each accepted verification is stored exactly once, with a clean form of what it came with."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from keyledger import APIKey, InvalidArgument, KeyLedger, LedgerClosed, Settings, Use
from keyledger.domain.events import KeyUsed
from keyledger.domain.use import RecordedUse

Uses = Callable[[APIKey], list[RecordedUse]]

LONG_FLUSH = Settings(flush_interval_seconds=3600)
FULL = Use(
    ip_address="2001:db8::7", user_agent="curl/8.5 😀", method="DELETE", path="/orders?all=1", request_id="req_1"
)
LIMITS = {"ip_address": 64, "user_agent": 512, "method": 32, "path": 2048, "request_id": 255}


def test_a_use_keeps_the_request_that_it_came_with(
    ledger: KeyLedger, create: Callable[..., APIKey], uses: Uses, eventually: Callable[..., Any]
) -> None:
    key, before = create(), datetime.now(UTC)

    ledger.verify(key.secret, use=FULL)
    ledger.authenticate(key.secret)

    first, second = eventually(lambda: len(found := uses(key)) == 2 and found)
    assert (first.use, first.outcome) == (FULL, "valid")
    assert (second.use, second.outcome) == (Use(), "valid")
    assert before <= first.occurred_at <= second.occurred_at <= datetime.now(UTC)


def test_every_use_from_any_thread_and_ledger_is_stored_exactly_once(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledgers = [open_ledger(), open_ledger(Settings(flush_interval_seconds=0.01, flush_after_uses=5))]
    keys = [create(), create(), create()]

    def verify(number: int) -> bool:
        use = Use(request_id=str(number))
        return ledgers[number % 2].verify(keys[number % 3].secret, use=use).valid

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(verify, range(900)))
    for ledger in ledgers:
        ledger.close()

    stored = [use.use.request_id for key in keys for use in uses(key)]
    assert Counter(stored) == Counter(str(number) for number in range(900))


def test_the_uses_of_one_flush_are_one_event_of_the_key(
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    events: Callable[..., list[KeyUsed]],
    uses: Uses,
) -> None:
    ledger, key = open_ledger(LONG_FLUSH), create()
    for _ in range(100):
        ledger.verify(key.secret)
    ledger.close()

    assert len(events(key, KeyUsed)) == 1
    assert len(uses(key)) == 100


def test_close_stores_everything(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledger, key = open_ledger(LONG_FLUSH), create()
    ledger.verify(key.secret)
    assert uses(key) == []

    ledger.close()

    assert len(uses(key)) == 1


def test_what_is_accepted_while_the_ledger_closes_is_stored(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledger, key = open_ledger(LONG_FLUSH), create()

    def verify_until_closed(thread: int) -> list[str]:
        accepted: list[str] = []
        try:
            while True:
                number = f"{thread}.{len(accepted)}"
                ledger.verify(key.secret, use=Use(request_id=number))
                accepted.append(number)
        except LedgerClosed:
            return accepted

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(verify_until_closed, thread) for thread in range(4)]
        while ledger.status().uses_waiting < 50:
            pass
        ledger.close()
        accepted = [number for future in running for number in future.result()]

    stored = {use.use.request_id for use in uses(key)}
    assert len(accepted) >= 50
    assert set(accepted) <= stored


def test_last_used_at_follows_within_two_seconds(
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    uses: Uses,
    eventually: Callable[..., Any],
) -> None:
    ledger, key = open_ledger(Settings()), create()
    assert key.last_used_at is None

    ledger.verify(key.secret)

    last = eventually(lambda: key.reload().last_used_at, seconds=2)
    assert [use.occurred_at for use in uses(key)] == [last]
    assert ledger.api_keys.get_all(subject="user_1").data[0].last_used_at == last


def test_last_used_at_is_the_latest_use_in_whatever_order_they_are_stored(
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    uses: Uses,
    eventually: Callable[..., Any],
) -> None:
    first, second, third, key = open_ledger(LONG_FLUSH), open_ledger(LONG_FLUSH), open_ledger(LONG_FLUSH), create()
    for ledger in (first, second, third):
        ledger.verify(key.secret)
    for ledger in (second, third, first):
        ledger.close()

    stored = [use.occurred_at for use in uses(key)]
    assert len(stored) == 3
    eventually(lambda: key.reload().last_used_at == max(stored), seconds=2)


def test_a_use_changes_nothing_else_of_the_key(
    ledger: KeyLedger, create: Callable[..., APIKey], eventually: Callable[..., Any]
) -> None:
    key = create()
    ledger.verify(key.secret)
    used = eventually(lambda: (found := key.reload()).last_used_at and found)
    assert {**used.as_dict(), "last_used_at": None, "secret": key.secret} == key.as_dict()


@pytest.mark.parametrize(("field", "limit"), LIMITS.items())
def test_the_texts_of_a_use_are_cut_and_cleaned(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses, field: str, limit: int
) -> None:
    ledger, key = open_ledger(), create()
    texts = ["x" * limit, "x" * (limit + 1), "x" * 1_000_000, "a\0b", "a\ud800b", ""]
    for text in texts:
        ledger.verify(key.secret, use=Use(**{field: text}))
    ledger.close()

    cut = "x" * (limit - 1) + "…"
    assert [getattr(use.use, field) for use in uses(key)] == ["x" * limit, cut, cut, "a\ufffdb", "a?b", ""]


@pytest.mark.parametrize("use", [{"path": "/orders"}, "curl", 5, [FULL], Use], ids=str)
def test_what_is_no_use_is_refused_and_loses_no_other(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses, use: Any
) -> None:
    ledger, key = open_ledger(), create()
    ledger.verify(key.secret)
    with pytest.raises(InvalidArgument, match="a Use or None") as refused:
        ledger.verify(key.secret, use=use)
    ledger.close()

    assert refused.value.param == "use"
    assert len(uses(key)) == 1
