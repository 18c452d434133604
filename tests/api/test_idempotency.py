"""Creating once: the same idempotency key and arguments are one key, whoever asks and however often."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest

from keyledger import Actor, IdempotencyConflict, InvalidArgument, KeyLedger
from keyledger.domain.events import Event

Unchanged = Callable[[], AbstractContextManager[None]]

ARGUMENTS: dict[str, Any] = {
    "name": "Nightly export",
    "subject": "org_1",
    "description": "what for",
    "seconds_until_expiration": 3600,
    "type": "machine",
    "scopes": ["a", "b"],
    "claims": {"plan": "pro", "seats": [1, 2]},
    "created_by": "user_1",
    "idempotency_key": "request 1",
}
THE_SAME: list[dict[str, Any]] = [
    {},
    {"claims": {"seats": [1, 2], "plan": "pro"}},
    {"claims": {"seats": (1, 2), "plan": "pro"}},
    {"scopes": ("a", "b")},
    {"seconds_until_expiration": 3600.0},
    {"actor": Actor(user_id="user_9", request_id="another attempt")},
]
DIFFERENT: list[dict[str, Any]] = [
    {"name": "nightly export"},
    {"subject": "org_2"},
    {"description": None},
    {"description": ""},
    {"seconds_until_expiration": 3601},
    {"seconds_until_expiration": None},
    {"type": "api_key"},
    {"scopes": []},
    {"scopes": ["a"]},
    {"claims": None},
    {"claims": {"plan": "pro", "seats": [2, 1]}},
    {"claims": {"plan": "pro", "seats": [1, "2"]}},
    {"claims": {"plan": "pro", "seats": [True, 2]}},
    {"created_by": "user_2"},
    {"created_by": None},
]


def test_the_first_create_has_the_secret(ledger: KeyLedger) -> None:
    key = ledger.api_keys.create(**ARGUMENTS)
    assert key.secret_already_issued is False
    assert ledger.verify(key.secret).valid


@pytest.mark.parametrize("again", THE_SAME, ids=repr)
def test_the_same_create_again_is_the_same_key_without_its_secret(
    ledger: KeyLedger, nothing_written: Unchanged, again: dict[str, Any]
) -> None:
    key = ledger.api_keys.create(**ARGUMENTS)

    with nothing_written():
        repeated = ledger.api_keys.create(**{**ARGUMENTS, **again})

    assert (repeated.secret, repeated.secret_already_issued) == (None, True)
    assert repeated == key.reload()


@pytest.mark.parametrize("other", DIFFERENT, ids=repr)
def test_an_idempotency_key_with_other_arguments_is_a_conflict(
    ledger: KeyLedger, nothing_written: Unchanged, other: dict[str, Any]
) -> None:
    ledger.api_keys.create(**ARGUMENTS)
    with nothing_written(), pytest.raises(IdempotencyConflict, match="other arguments"):
        ledger.api_keys.create(**{**ARGUMENTS, **other})


def test_a_repetition_returns_the_key_as_it_has_become(
    ledger: KeyLedger, open_ledger: Callable[..., KeyLedger]
) -> None:
    key = ledger.api_keys.create(**ARGUMENTS)
    ledger.api_keys.update(key.id, description="changed since")
    ledger.api_keys.revoke(key.id)

    repeated = open_ledger().api_keys.create(**ARGUMENTS)

    assert (repeated.id, repeated.description, repeated.revoked) == (key.id, "changed since", True)


def test_without_an_idempotency_key_every_create_is_a_key(ledger: KeyLedger) -> None:
    once = {**ARGUMENTS, "idempotency_key": None}
    assert ledger.api_keys.create(**once).id != ledger.api_keys.create(**once).id


def test_another_idempotency_key_makes_another_key(ledger: KeyLedger) -> None:
    ids = {
        ledger.api_keys.create(**{**ARGUMENTS, "idempotency_key": text}).id
        for text in ("request 1", "Request 1", "request 1 ", "x" * 255)
    }
    assert len(ids) == 4


def test_a_create_that_was_refused_leaves_its_idempotency_key_free(ledger: KeyLedger) -> None:
    with pytest.raises(InvalidArgument):
        ledger.api_keys.create(**{**ARGUMENTS, "scopes": "a"})
    assert ledger.api_keys.create(**ARGUMENTS).secret


def test_a_hundred_identical_creates_at_once_make_one_key_with_one_secret(
    ledger: KeyLedger, open_ledger: Callable[..., KeyLedger], events: Callable[..., list[Event]]
) -> None:
    ledgers = [ledger, open_ledger()]

    with ThreadPoolExecutor(100) as threads:
        keys = list(threads.map(lambda number: ledgers[number % 2].api_keys.create(**ARGUMENTS), range(100)))

    assert len({key.id for key in keys}) == 1
    assert sorted(key.secret_already_issued for key in keys) == [False] + [True] * 99
    (secret,) = [key.secret for key in keys if key.secret]
    assert ledger.verify(secret).valid
    assert len(events(keys[0])) == 1
    assert ledger.api_keys.get_all(subject="org_1").total_count == 1


def test_of_different_creates_at_once_one_wins_and_the_others_conflict(ledger: KeyLedger) -> None:
    def attempt(number: int) -> str | None:
        try:
            return ledger.api_keys.create(**{**ARGUMENTS, "description": str(number)}).secret
        except IdempotencyConflict:
            return None

    with ThreadPoolExecutor(16) as threads:
        secrets = list(threads.map(attempt, range(16)))

    assert len([secret for secret in secrets if secret]) == 1
    assert ledger.api_keys.get_all(subject="org_1").total_count == 1
