"""Claims: any JSON value of at most 8 KiB, exactly as it was given."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from keyledger import APIKey, InvalidArgument, KeyLedger

Unchanged = Callable[[], AbstractContextManager[None]]

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ANY_NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)


def nested(depth: int) -> Any:
    """Empty arrays in each other, `depth` of them."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def endless() -> Any:
    value: list[Any] = []
    value.append({"again": value})
    return value


def exploding() -> Any:
    """A few hundred bytes in memory that are 10**30 elements as JSON."""
    value: list[Any] = []
    for _ in range(30):
        value = [value] * 10
    return value


def exactly(size: int, filler: str) -> Any:
    """An object whose compact JSON in UTF-8 has so many bytes."""
    rest = size - len('{"é":""}'.encode())
    count, padding = divmod(rest, len(filler.encode()))
    return {"é": filler * count + "x" * padding}


REFUSED = {
    "8193 bytes": (exactly(8193, "x"), "8192 bytes"),
    "8193 bytes of emoji": (exactly(8193, "😀"), "8192 bytes"),
    "8193 bytes of quotes": ("x" + '"' * 4095 + "xx", "8192 bytes"),
    "101 deep": (nested(101), "100 deep"),
    "a reference to itself": (endless(), "100 deep"),
    "more elements than bytes": (exploding(), "8192 bytes"),
    "NaN": ({"a": float("nan")}, "finite"),
    "infinity": ([float("inf")], "finite"),
    "minus infinity": (-float("inf"), "finite"),
    "a number of 5,001 digits": (10**5000, "4,300 digits"),
    "U+0000": ("a\0b", "U+0000"),
    "U+0000 in a key": ({"a": {"b\0": 1}}, "U+0000"),
    "a lone surrogate": (["\ud83d"], "lone surrogate"),
    "a lone surrogate in a key": ({"\udc00": 1}, "lone surrogate"),
    "a number as key": ({1: "a"}, "texts"),
    "None as key": ([{None: "a"}], "texts"),
    "True as key": ({True: "a"}, "texts"),
    "bytes": (b"{}", "not bytes"),
    "a set": ({"a": {1, 2}}, "not set"),
    "a decimal": (Decimal("1.5"), "not Decimal"),
    "a datetime": ([datetime(2026, 1, 1, tzinfo=UTC)], "not datetime"),
    "a complex number": (1j, "not complex"),
    "an object": ({"a": object()}, "not object"),
    "a class": (dict, "not type"),
}
ACCEPTED = {
    "null in an object": {"a": None},
    "true": True,
    "false": False,
    "zero": 0,
    "minus zero": -0.0,
    "empty text": "",
    "empty array": [],
    "empty object": {},
    "empty key": {"": {"": 1}},
    "4,300 digits": 10**4299,
    "a negative number beyond 64 bits": -(2**200),
    "the largest float": 1.7976931348623157e308,
    "the smallest float": 5e-324,
    "whole floats": [1.0, 1e22, 1],
    "control characters": "\x01\x1f\x7f\u2028\u2029\ufeff\uffff",
    "quotes": {"'\"\\/": "</script>'; DROP TABLE keyledger.events; --"},
    "order of keys": {"b": 1, "a": 2, "B": 3},
    "look-alike keys": {"é": 1, "e\u0301": 2, "E": 3, "e": 4},
    "8192 bytes": exactly(8192, "x"),
    "8192 bytes of emoji": exactly(8192, "😀"),
    "8192 bytes of quotes": "xx" + '"' * 4094,
    "8192 bytes of elements": [*[1] * 4094, 11],
    "100 deep": nested(100),
}


def the_same(one: Any, other: Any) -> bool:
    """Equal in type, order of keys and sign of zero, which == does not tell apart."""
    return json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize("claims", [pytest.param(value, id=name) for name, value in ACCEPTED.items()])
def test_any_json_value_comes_back_exactly(ledger: KeyLedger, create: Callable[..., APIKey], claims: Any) -> None:
    key = create(claims=claims)

    assert the_same(key.claims, claims)
    assert the_same(ledger.api_keys.get(key.id).claims, claims)
    assert the_same(ledger.api_keys.get_all(subject="user_1").data[0].claims, claims)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(claims=ANY_JSON)
def test_whatever_json_is_accepted_comes_back_exactly(ledger: KeyLedger, claims: Any) -> None:
    assume(len(json.dumps(claims)) < 8192)

    key = ledger.api_keys.create(name="a key", subject="user_1", claims=claims)

    assert the_same(ledger.api_keys.get(key.id).claims, claims)


@pytest.mark.parametrize(("claims", "allowed"), [pytest.param(*case, id=name) for name, case in REFUSED.items()])
def test_claims_that_are_no_json_value_of_8_kib_are_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, claims: Any, allowed: str
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument, match=r"^claims: a ") as refused:
        create(claims=claims)
    assert refused.value.param == "claims"
    assert allowed in str(refused.value)


@pytest.mark.parametrize("claims", [exactly(8193, "x"), {1: 2}, float("nan"), b""], ids=ascii)
def test_an_update_refuses_the_claims_that_a_create_refuses(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged, claims: Any
) -> None:
    key = create()

    with nothing_written(), pytest.raises(InvalidArgument) as refused:
        ledger.api_keys.update(key.id, claims=claims)
    assert refused.value.param == "claims"


def test_a_tuple_is_an_array(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    assert ledger.api_keys.get(create(claims=("a", ("b",))).id).claims == ["a", ["b"]]


def test_the_callers_claims_are_not_shared_with_the_key(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    claims = {"roles": ["reader"]}
    key = create(claims=claims)

    claims["roles"].append("admin")

    assert key.claims == ledger.api_keys.get(key.id).claims == {"roles": ["reader"]}
