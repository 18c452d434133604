"""Texts: what every text argument takes, at the bound and one beyond it, and what comes back."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyledger import Actor, APIKey, InvalidArgument, KeyLedger, Use

Unchanged = Callable[[], AbstractContextManager[None]]

BOUNDS = {
    "name": (3, 255),
    "type": (3, 25),
    "subject": (1, 255),
    "description": (0, 255),
    "created_by": (1, 255),
    "idempotency_key": (1, 255),
}
TRIMMED = ("name", "type", "subject", "created_by")
UPDATABLE = ("description", "subject")
NO_TEXTS = [b"bytes", 5, 1.5, True, ["list"], {"a": 1}]
MEANING = (
    "héllo · مرحبا بالعالم · שלום · 你好世界 · नमस्ते · 👩‍👩‍👧‍👦🏳️‍🌈 · '\"`\\$$;-- \u202eRTL\u202c · %_ · \u200b"
)
ANY_TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def lengths(just: int) -> list[Any]:
    """Each argument with a text just inside (0) or just outside (1) each of its bounds."""
    low = [(param, minimum - just) for param, (minimum, _) in BOUNDS.items() if minimum - just >= 0]
    return low + [(param, maximum + just) for param, (_, maximum) in BOUNDS.items()]


@pytest.mark.parametrize(("param", "length"), lengths(0))
def test_a_text_may_be_as_short_and_as_long_as_its_bounds(
    create: Callable[..., APIKey], param: str, length: int
) -> None:
    assert create(**{param: "x" * length}).id


@pytest.mark.parametrize(("param", "length"), lengths(1))
def test_a_text_one_character_beyond_its_bounds_is_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, param: str, length: int
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument, match=str(BOUNDS[param][1])) as refused:
        create(**{param: "x" * length})
    assert refused.value.param == param


def test_lengths_are_characters_and_not_bytes(create: Callable[..., APIKey]) -> None:
    assert create(name="😀" * 255).name == "😀" * 255


@pytest.mark.parametrize("text", [" abc", "abc ", "abc\n", "\tabc", "abc\u00a0", "\u3000abc", "    "])
def test_white_space_at_an_end_is_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, text: str
) -> None:
    for param in TRIMMED:
        with nothing_written(), pytest.raises(InvalidArgument, match="no white space at either end") as refused:
            create(**{param: text})
        assert refused.value.param == param


def test_white_space_within_a_name_stays(create: Callable[..., APIKey]) -> None:
    assert create(name="a \t\u3000 b").name == "a \t\u3000 b"


@pytest.mark.parametrize("param", BOUNDS)
@pytest.mark.parametrize(("text", "allowed"), [("abc\0def", "U+0000"), ("abc\ud800def", "lone surrogate")])
def test_characters_that_are_no_text_are_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, param: str, text: str, allowed: str
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument) as refused:
        create(**{param: text})
    assert refused.value.param == param
    assert allowed in str(refused.value)


@pytest.mark.parametrize("param", BOUNDS)
def test_a_value_that_is_no_text_is_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, param: str
) -> None:
    for value in NO_TEXTS:
        with nothing_written(), pytest.raises(InvalidArgument, match="a text of") as refused:
            create(**{param: value})
        assert refused.value.param == param


@pytest.mark.parametrize("param", ["name", "type"])
def test_none_is_no_name_and_no_type(
    create: Callable[..., APIKey], nothing_written: Unchanged, param: str
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument) as refused:
        create(**{param: None})
    assert refused.value.param == param


@pytest.mark.parametrize("param", UPDATABLE)
@pytest.mark.parametrize("value", ["x" * 256, "a\0b", "a\udfffb", *NO_TEXTS], ids=ascii)
def test_an_update_refuses_what_a_create_refuses(
    ledger: KeyLedger, create: Callable[..., APIKey], nothing_written: Unchanged, param: str, value: object
) -> None:
    key = create()

    with nothing_written(), pytest.raises(InvalidArgument) as refused:
        ledger.api_keys.update(key.id, **{param: value})
    assert refused.value.param == param


@pytest.mark.parametrize("field", Actor.__struct_fields__)
@pytest.mark.parametrize("value", ["", "x" * 256, "a\0b", "a\ud800", *NO_TEXTS], ids=ascii)
def test_an_actor_is_made_of_texts(field: str, value: object) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Actor(**{field: value})
    assert refused.value.param == field


@pytest.mark.parametrize("field", Use.__struct_fields__)
@pytest.mark.parametrize("value", NO_TEXTS, ids=repr)
def test_a_use_is_made_of_texts(field: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match="a text or None") as refused:
        Use(**{field: value})
    assert refused.value.param == field


def test_text_in_any_script_comes_back_as_it_was(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(name=MEANING, description=MEANING, scopes=[MEANING], claims={MEANING: MEANING}, subject=MEANING)

    found = ledger.api_keys.get(key.id)

    assert (found.name, found.description, found.subject) == (MEANING, MEANING, MEANING)
    assert (found.scopes, found.claims) == ((MEANING,), {MEANING: MEANING})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(ANY_TEXT, min_size=3, max_size=255).filter(lambda text: text == text.strip()),
    description=st.text(ANY_TEXT, max_size=255),
)
def test_whatever_is_accepted_comes_back_exactly(ledger: KeyLedger, name: str, description: str) -> None:
    key = ledger.api_keys.create(name=name, description=description, subject="user_1")

    found = ledger.api_keys.get(key.id)

    assert (found.name, found.description) == (key.name, key.description) == (name, description)


def test_a_member_of_a_string_enumeration_is_its_text(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    class Scope(StrEnum):
        READ = "orders:read"

    class Text(str):
        __slots__ = ()

    key = create(name=Text("named"), scopes=[Scope.READ])

    assert (key.name, key.scopes) == ("named", ("orders:read",))
    assert type(key.name) is type(key.scopes[0]) is str
    assert ledger.api_keys.get(key.id).scopes == ("orders:read",)
