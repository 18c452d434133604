"""Revoking a key: for ever, at once, and only once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest

from keyledger import Actor, APIKey, InvalidArgument, KeyLedger, KeyRevokedError
from keyledger.domain.events import Event, KeyRevoked

Unchanged = Callable[[], AbstractContextManager[None]]

REFUSED = [
    ("revocation_reason", "x" * 1025, "at most 1024 characters"),
    ("revocation_reason", "a\0b", "U+0000"),
    ("revocation_reason", "a\ud800", "lone surrogate"),
    ("revocation_reason", b"leaked", "a text"),
    ("revocation_reason", 5, "a text"),
    ("revocation_reason", ["leaked"], "a text"),
    ("barrier", 1, "True or False"),
    ("barrier", None, "True or False"),
    ("barrier", "yes", "True or False"),
    ("actor", "user_1", "an Actor or None"),
    ("actor", {"user_id": "user_1"}, "an Actor or None"),
]


def test_a_revoked_key_says_so_everywhere(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()

    revoked = ledger.api_keys.revoke(key.id, revocation_reason="leaked")

    assert (revoked.revoked, revoked.revocation_reason) == (True, "leaked")
    assert revoked.updated_at > key.updated_at
    assert revoked == ledger.api_keys.get(key.id) == ledger.verify(key.secret).api_key


@pytest.mark.parametrize("reason", [None, "", " ", "x" * 1024, "😀" * 1024, "שלום 'quoted' \\ %s"], ids=ascii)
def test_a_reason_is_any_text_or_none(
    ledger: KeyLedger, create: Callable[..., APIKey], reason: str | None
) -> None:
    key = create()
    assert ledger.api_keys.revoke(key.id, revocation_reason=reason).revocation_reason == reason
    assert ledger.api_keys.get(key.id).revocation_reason == reason


@pytest.mark.parametrize(("param", "value", "allowed"), REFUSED, ids=ascii)
def test_a_malformed_argument_revokes_nothing(
    ledger: KeyLedger,
    create: Callable[..., APIKey],
    nothing_written: Unchanged,
    param: str,
    value: Any,
    allowed: str,
) -> None:
    key = create()
    with nothing_written(), pytest.raises(InvalidArgument) as refused:
        ledger.api_keys.revoke(key.id, **{param: value})
    assert refused.value.param == param
    assert allowed in str(refused.value)


def test_a_second_revoke_returns_the_first_reason_and_records_nothing(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged
) -> None:
    key = create()
    first = ledger.api_keys.revoke(key.id, revocation_reason="first", actor=Actor(user_id="user_1"))

    with nothing_written():
        second = ledger.api_keys.revoke(key.id, revocation_reason="second", actor=Actor(user_id="user_2"))

    assert second == first


def test_the_first_revokes_actor_and_time_stay(
    ledger: KeyLedger, create: Callable[..., APIKey], events: Callable[..., list[Event]]
) -> None:
    key = create()
    first = ledger.api_keys.revoke(key.id, actor=Actor(user_id="user_1"))
    ledger.api_keys.revoke(key.id, actor=Actor(user_id="user_2"))

    (event,) = events(key, KeyRevoked)

    assert event.actor == Actor(user_id="user_1")
    assert event.occurred_at == first.updated_at


def test_many_revokes_at_once_are_one_event_and_one_answer(
    ledger: KeyLedger,
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    events: Callable[..., list[Event]],
) -> None:
    key = create()
    ledgers = [ledger, open_ledger()]

    with ThreadPoolExecutor(16) as threads:
        revoked = list(
            threads.map(
                lambda number: ledgers[number % 2].api_keys.revoke(key.id, revocation_reason=str(number)),
                range(32),
            )
        )

    assert len(events(key, KeyRevoked)) == 1
    assert len({one.revocation_reason for one in revoked}) == 1
    assert {one.updated_at for one in revoked} == {key.reload().updated_at}


def test_a_revoke_succeeds_while_the_key_is_updated_and_used(
    ledger: KeyLedger, create: Callable[..., APIKey], events: Callable[..., list[Event]]
) -> None:
    key = create()
    with ThreadPoolExecutor(4) as threads:
        verified = [threads.submit(ledger.verify, key.secret) for _ in range(100)]
        updated = [threads.submit(ledger.api_keys.update, key.id, description=str(n)) for n in range(20)]
        revoked = threads.submit(ledger.api_keys.revoke, key.id)
    refused = [error for future in updated if (error := future.exception())]
    lifecycle = [event.topic for event in events(key) if event.topic != "KeyUsed"]

    assert revoked.result().revoked
    assert {future.result().code for future in verified} <= {"valid", "revoked"}
    assert {type(error) for error in refused} <= {KeyRevokedError}
    assert lifecycle == ["KeyCreated", *["KeyUpdated"] * (20 - len(refused)), "KeyRevoked"]


def test_an_expired_key_can_be_revoked(
    ledger: KeyLedger, create: Callable[..., APIKey], eventually: Callable[..., Any]
) -> None:
    key = create(seconds_until_expiration=0.001)
    eventually(lambda: key.reload().expired)

    revoked = ledger.api_keys.revoke(key.id)

    assert (revoked.expired, revoked.revoked, ledger.verify(key.secret).code) == (True, True, "revoked")


def test_no_ledger_accepts_the_key_once_revoke_has_returned_behind_a_barrier(
    create: Callable[..., APIKey], open_ledger: Callable[..., KeyLedger]
) -> None:
    first, second, key = open_ledger(), open_ledger(), create()
    assert first.verify(key.secret).valid
    assert second.verify(key.secret).valid

    first.api_keys.revoke(key.id, barrier=True)

    assert (first.verify(key.secret).code, second.verify(key.secret).code) == ("revoked", "revoked")


def test_revoking_one_key_leaves_the_others(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key, other = create(), create()
    ledger.api_keys.revoke(key.id)
    assert ledger.verify(other.secret).valid
