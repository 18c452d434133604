"""Creating a key: scopes, expiration, and what comes back."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import repeat
from typing import Any

import pytest

from keyledger import APIKey, InvalidArgument, KeyLedger
from keyledger.domain.events import Event, KeyCreated

Unchanged = Callable[[], AbstractContextManager[None]]

BAD_SCOPES = {
    "a text": "orders:read",
    "bytes": b"orders:read",
    "a number": 5,
    "twice the same": ["a", "b", "a"],
    "an empty one": ["a", ""],
    "too long": ["x" * 256],
    "None in it": ["a", None],
    "bytes in it": [b"a"],
    "a number in it": [1],
    "U+0000": ["a\0b"],
    "a surrogate": ["a\ud800"],
    "too many": [str(number) for number in range(1001)],
    "endless": (str(number) for number, _ in enumerate(repeat(None))),
}
BAD_EXPIRATIONS = {
    "zero": 0,
    "zero point": 0.0,
    "minus zero": -0.0,
    "negative": -1,
    "just below": -5e-324,
    "minus infinity": -float("inf"),
    "infinity": float("inf"),
    "not a number": float("nan"),
    "True": True,
    "a text": "60",
    "bytes": b"60",
    "a list": [60],
    "a decimal": Decimal(60),
    "a timedelta": timedelta(seconds=60),
    "beyond the calendar": 10**400,
    "beyond a float": 1e308,
    "year 10000": 8000 * 365.25 * 86_400,
}


def named(cases: dict[str, Any]) -> list[Any]:
    return [pytest.param(value, id=name) for name, value in cases.items()]


def test_a_new_key_has_what_was_asked_for_and_the_defaults(ledger: KeyLedger) -> None:
    before = datetime.now(UTC)

    key = ledger.api_keys.create(name="Nightly export", subject="org_1")

    assert re.fullmatch("ak_[0-9a-f]{32}", key.id)
    assert (key.type, key.name, key.subject) == ("api_key", "Nightly export", "org_1")
    assert (key.description, key.claims, key.created_by, key.expiration) == (None, None, None, None)
    assert (key.scopes, key.expired, key.revoked, key.revocation_reason) == ((), False, False, None)
    assert key.last_used_at is None
    assert before <= key.created_at == key.updated_at <= datetime.now(UTC)
    assert key.secret is not None
    assert key.secret_already_issued is False


def test_a_key_reads_as_it_was_created_but_for_its_secret(
    ledger: KeyLedger, create: Callable[..., APIKey]
) -> None:
    key = create(
        name="Nightly export",
        description="what for",
        type="machine",
        scopes=["orders:read", "orders:write"],
        claims={"plan": ["pro"]},
        created_by="user_2",
        seconds_until_expiration=3600,
    )

    found = ledger.api_keys.get(key.id)

    assert found.secret is None
    assert found.as_dict() == {field: value for field, value in key.as_dict().items() if field != "secret"}


def test_creating_appends_one_event_without_the_secret(
    create: Callable[..., APIKey], events: Callable[..., list[Event]]
) -> None:
    key = create(scopes=["a"])

    (event,) = events(key)

    assert isinstance(event, KeyCreated)
    assert (event.name, event.subject, event.scopes) == ("a key", "user_1", ("a",))
    assert key.secret not in repr(event)


def test_two_keys_may_have_one_name(create: Callable[..., APIKey]) -> None:
    first, second = create(), create()
    assert first.id != second.id
    assert first.secret != second.secret


@pytest.mark.parametrize("empty", [None, (), [], set()], ids=repr)
def test_a_key_may_have_no_scopes(create: Callable[..., APIKey], empty: Any) -> None:
    assert create(scopes=empty).scopes == ()


@pytest.mark.parametrize(
    "scopes",
    [
        [" ", "  "],
        ["A", "a", "á", "a\u0301"],
        ["x" * 255],
        [str(number) for number in range(1000)],
        [",", "{}", '"', "\\", "NULL", "'"],
    ],
    ids=["white space", "look-alikes", "the longest", "the most", "quoting"],
)
def test_scopes_keep_their_order_and_text(
    ledger: KeyLedger, create: Callable[..., APIKey], scopes: list[str]
) -> None:
    assert ledger.api_keys.get(create(scopes=scopes).id).scopes == tuple(scopes)


@pytest.mark.parametrize("scopes", named(BAD_SCOPES))
def test_scopes_that_are_not_distinct_texts_are_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, scopes: Any
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument, match=r"^scopes: a ") as refused:
        create(scopes=scopes)
    assert refused.value.param == "scopes"


@pytest.mark.parametrize("seconds", [1, 0.5, 86_400 * 365 * 100, 10**9])
def test_the_expiration_counts_from_the_creation(create: Callable[..., APIKey], seconds: float) -> None:
    key = create(seconds_until_expiration=seconds)
    assert key.expiration == key.created_at + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [5e-324, 1e-9, 0.0000001])
def test_the_shortest_life_ends_after_the_creation(create: Callable[..., APIKey], seconds: float) -> None:
    key = create(seconds_until_expiration=seconds)
    assert key.expiration is not None
    assert key.expiration > key.created_at


@pytest.mark.parametrize("seconds", named(BAD_EXPIRATIONS))
def test_an_expiration_that_is_no_number_above_0_is_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, seconds: Any
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument, match="a number above 0, or None for never") as refused:
        create(seconds_until_expiration=seconds)
    assert refused.value.param == "seconds_until_expiration"


def test_the_latest_expiration_is_the_last_but_one_day_of_the_year_9999(create: Callable[..., APIKey]) -> None:
    last = datetime(9999, 12, 30, tzinfo=UTC)

    key = create(seconds_until_expiration=(last - datetime.now(UTC)).total_seconds() - 60)

    assert key.expiration is not None
    assert last - timedelta(minutes=2) < key.expiration < last
    with pytest.raises(InvalidArgument, match="9999-12-30"):
        create(seconds_until_expiration=(last - datetime.now(UTC)).total_seconds() + 60)


@pytest.mark.parametrize("argument", ["secret", "id", "revoked", "namee"])
def test_an_argument_that_does_not_exist_is_pythons_own_error(
    create: Callable[..., APIKey], nothing_written: Unchanged, argument: str
) -> None:
    with nothing_written(), pytest.raises(TypeError, match=argument):
        create(**{argument: "x"})
