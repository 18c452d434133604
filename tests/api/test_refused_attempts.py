"""Refused attempts: those on a known key are recorded, a bounded number of them, and the rest are counted."""

from collections import Counter
from collections.abc import Callable
from uuid import UUID

import pytest

from keyledger import APIKey, KeyLedger, Settings, Use
from keyledger.domain import secret as secrets
from keyledger.domain.events import KeyUsed
from keyledger.domain.use import RecordedUse

Uses = Callable[[APIKey], list[RecordedUse]]


@pytest.mark.parametrize("outcome", ["revoked", "expired", "insufficient_scope", "not_found"])
def test_refused_attempts_on_a_known_key_are_recorded_and_bounded(
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    events: Callable[..., list[KeyUsed]],
    uses: Uses,
    outcome: str,
) -> None:
    ledger, key = open_ledger(Settings(flush_interval_seconds=3600, refused_limit_per_key=3)), create()
    if outcome == "revoked":
        ledger.api_keys.revoke(key.id)
    if outcome == "expired":
        ledger.api_keys.update(key.id, seconds_until_expiration=1e-6)
    secret = secrets.generate(UUID(key.id[3:])) if outcome == "not_found" else key.secret
    for number in range(20):
        assert not ledger.verify(secret, scopes=["missing"], use=Use(request_id=str(number))).valid
    ledger.close()

    (event,) = events(key, KeyUsed)
    assert [(use.outcome, use.use.request_id) for use in uses(key)] == [
        (outcome, "0"),
        (outcome, "1"),
        (outcome, "2"),
    ]
    assert event.refused_unlisted == 17


def test_refused_attempts_leave_room_for_every_accepted_use(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledger, key = open_ledger(Settings(flush_interval_seconds=3600, refused_limit_per_key=1)), create()
    for _ in range(5):
        ledger.verify(key.secret, scopes=["missing"])
        ledger.verify(key.secret)
    ledger.close()

    assert Counter(use.outcome for use in uses(key)) == {"valid": 5, "insufficient_scope": 1}


def test_a_refused_attempt_is_no_last_use(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], ledger: KeyLedger
) -> None:
    key, other = create(), open_ledger()
    other.verify(key.secret, scopes=["missing"])
    other.close()
    assert ledger.api_keys.get(key.id).last_used_at is None


def test_attempts_on_no_known_key_are_not_recorded(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], events: Callable[..., list[KeyUsed]]
) -> None:
    ledger = open_ledger()
    create()
    ledger.verify("ak_garbage", use=Use(path="/orders"))
    ledger.verify(secrets.generate(UUID(int=7)), use=Use(path="/orders"))
    ledger.close()
    assert events(None, KeyUsed) == []
