"""Updating a key: what is left out stays, None clears, and nothing is recorded for nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest

from keyledger import APIKey, InvalidArgument, KeyLedger, KeyRevokedError
from keyledger.domain.events import Event, KeyUpdated

Unchanged = Callable[[], AbstractContextManager[None]]

FULL: dict[str, Any] = {
    "description": "what for",
    "scopes": ["a", "b"],
    "claims": {"plan": "pro"},
    "seconds_until_expiration": 3600,
}
SET = [
    ("description", "new", "new"),
    ("description", "", ""),
    ("description", "x" * 255, "x" * 255),
    ("scopes", ["c"], ("c",)),
    ("scopes", ["b", "a"], ("b", "a")),
    ("claims", {"plan": "free"}, {"plan": "free"}),
    ("claims", 0, 0),
    ("claims", False, False),
    ("claims", "", ""),
    ("subject", "org_2", "org_2"),
]
CLEARED = [("description", None), ("scopes", ()), ("claims", None), ("expiration", None)]
SAME = [
    {},
    {"description": "what for"},
    {"scopes": ("a", "b")},
    {"claims": {"plan": "pro"}},
    {"subject": "user_1"},
    {"description": "what for", "scopes": ["a", "b"], "claims": {"plan": "pro"}, "subject": "user_1"},
]
REFUSED = [
    ("description", "x" * 256),
    ("scopes", "a"),
    ("scopes", ["a", "a"]),
    ("scopes", [""]),
    ("scopes", [None]),
    ("subject", ""),
    ("subject", None),
    ("subject", " user"),
    ("seconds_until_expiration", 0),
    ("seconds_until_expiration", -1),
    ("seconds_until_expiration", float("nan")),
    ("seconds_until_expiration", float("inf")),
    ("seconds_until_expiration", True),
    ("seconds_until_expiration", "1"),
    ("actor", "user_1"),
]
STATE = ("type", "name", "subject", "description", "claims", "scopes", "created_at", "expiration", "created_by")


def state(key: APIKey) -> dict[str, Any]:
    return {field: getattr(key, field) for field in STATE}


@pytest.mark.parametrize(("field", "value", "expected"), SET)
def test_an_update_sets_one_field_and_leaves_the_others(
    ledger: KeyLedger, create: Callable[..., APIKey], field: str, value: Any, expected: Any
) -> None:
    key = create(**FULL)

    updated = ledger.api_keys.update(key.id, **{field: value})

    assert state(updated) == {**state(key), field: expected}
    assert updated.updated_at > key.updated_at
    assert updated == ledger.api_keys.get(key.id)


@pytest.mark.parametrize(("field", "empty"), CLEARED)
def test_none_clears(ledger: KeyLedger, create: Callable[..., APIKey], field: str, empty: Any) -> None:
    key = create(**FULL)
    argument = "seconds_until_expiration" if field == "expiration" else field

    updated = ledger.api_keys.update(key.id, **{argument: None})

    assert state(updated) == {**state(key), field: empty}
    assert updated == ledger.api_keys.get(key.id)


def test_a_new_expiration_counts_from_the_update(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(seconds_until_expiration=60)

    updated = ledger.api_keys.update(key.id, seconds_until_expiration=7200.5)

    assert updated.expiration == updated.updated_at + timedelta(seconds=7200.5)


def test_an_update_is_one_event_with_what_changed(
    ledger: KeyLedger, create: Callable[..., APIKey], events: Callable[..., list[Event]]
) -> None:
    key = create(**FULL)

    ledger.api_keys.update(key.id, description="new", scopes=["a", "b"], claims=None)

    (event,) = events(key, KeyUpdated)
    assert isinstance(event, KeyUpdated)
    assert (
        repr(event.changes)
        == "Changes(description='new', claims=None, scopes=UNSET, subject=UNSET, expiration=UNSET)"
    )


@pytest.mark.parametrize("same", SAME, ids=repr)
def test_an_update_that_changes_nothing_records_nothing(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged, same: dict[str, Any]
) -> None:
    key = create(**FULL)

    with nothing_written():
        updated = ledger.api_keys.update(key.id, **same)

    assert (state(updated), updated.updated_at) == (state(key), key.updated_at)


def test_clearing_what_is_clear_records_nothing(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged
) -> None:
    key = create()
    with nothing_written():
        ledger.api_keys.update(key.id, description=None, scopes=None, claims=None, seconds_until_expiration=None)


@pytest.mark.parametrize(("param", "value"), REFUSED, ids=repr)
def test_a_malformed_argument_of_an_update_is_refused(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged, param: str, value: Any
) -> None:
    key = create(**FULL)
    with nothing_written(), pytest.raises(InvalidArgument) as refused:
        ledger.api_keys.update(key.id, **{"description": "new", param: value})
    assert refused.value.param == param


@pytest.mark.parametrize("fixed", ["name", "type", "created_by", "id", "secret", "revoked"])
def test_what_is_fixed_cannot_be_updated(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged, fixed: str
) -> None:
    key = create()
    with nothing_written(), pytest.raises(TypeError, match=fixed):
        ledger.api_keys.update(key.id, **{fixed: "new"})


@pytest.mark.parametrize("changes", [{}, {"description": "new"}, {"seconds_until_expiration": None}], ids=repr)
def test_a_revoked_key_cannot_be_updated(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged, changes: dict[str, Any]
) -> None:
    key = create()
    ledger.api_keys.revoke(key.id)

    with nothing_written(), pytest.raises(KeyRevokedError, match=key.id):
        ledger.api_keys.update(key.id, **changes)


def test_an_expired_key_can_be_prolonged(
    ledger: KeyLedger, create: Callable[..., APIKey], eventually: Callable[..., Any]
) -> None:
    key = create(seconds_until_expiration=0.001)
    eventually(lambda: key.reload().expired)

    updated = ledger.api_keys.update(key.id, seconds_until_expiration=3600)

    assert (updated.expired, ledger.verify(key.secret).code) == (False, "valid")


def test_a_key_that_moves_is_listed_with_its_new_subject(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(subject="org_1")

    moved = ledger.api_keys.update(key.id, subject="org_2")

    assert ledger.api_keys.get_all(subject="org_1").data == ()
    assert ledger.api_keys.get_all(subject="org_2").data == (moved,)
