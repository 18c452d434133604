"""Listing keys: order, pages, counts, who is left out, and the search."""

from collections.abc import Callable
from typing import Any

import pytest

from keyledger import APIKey, InvalidArgument, KeyLedger, Page

BAD_ARGUMENTS = [
    ("page_size", 0, "from 1 to 100"),
    ("page_size", -1, "from 1 to 100"),
    ("page_size", 101, "from 1 to 100"),
    ("page_size", 10.0, "from 1 to 100"),
    ("page_size", True, "from 1 to 100"),
    ("page_size", "10", "from 1 to 100"),
    ("page_size", None, "from 1 to 100"),
    ("initial_page", 0, "at least 1"),
    ("initial_page", -1, "at least 1"),
    ("initial_page", 1.5, "at least 1"),
    ("initial_page", True, "at least 1"),
    ("initial_page", "1", "at least 1"),
    ("initial_page", None, "at least 1"),
    ("include_invalid", 1, "True or False"),
    ("include_invalid", "no", "True or False"),
    ("include_invalid", None, "True or False"),
    ("subject", None, "required"),
    ("subject", "", "1 to 255"),
    ("subject", b"user_1", "1 to 255"),
    ("query", "x" * 256, "at most 255"),
    ("query", b"x", "at most 255"),
    ("query", 5, "at most 255"),
    ("query", "a\0", "U+0000"),
    ("query", "a\ud800", "lone surrogate"),
]
FOUND = [
    ("nightly", "Nightly Export"),
    ("LY EXP", "Nightly Export"),
    ("Nightly Export", "Nightly Export"),
    ("", "anything"),
    (" ", "two words"),
    ("ÉCOLE", "l'école"),
    ("e\u0301cole", "École"),
    ("école", "E\u0301COLE"),
    ("ПРИВЕТ", "привет, мир"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("straße", "STRASSE 5"),
    ("STRASSE", "straße 5"),
    ("istanbul", "ISTANBUL"),
    ("世界", "你好世界"),
    ("مرحبا", "قل مرحبا"),
    ("👩\u200d👩", "a 👩\u200d👩\u200d👧 b"),
    ("100%", "100% sure"),
    ("a_b", "x a_b"),
    ("a\\b", "x a\\b"),
    ("\\", "back\\slash"),
    ("'; --", "it'; -- is"),
]
NOT_FOUND = [
    ("100%", "1000 sure"),
    ("%", "no percentage"),
    ("_", "no underline"),
    ("a_b", "axb"),
    ("a%b", "axxb"),
    ("\\", "forward/slash"),
    ("\\%", "100%"),
    ("Export Nightly", "Nightly Export"),
    ("nightly  export", "Nightly Export"),
    (".*", "anything"),
    ("e", "\u00e9t\u00e9"),
    ("e", "e\u0301te\u0301"),
    ("école", "ecole"),
    ("longer than the name", "longer than"),
    ("what for", "described"),
]


def names(page: Page) -> list[str]:
    return [key.name for key in page.data]


def test_the_newest_key_comes_first(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    made = [create(name=f"key {number}").name for number in range(5)]
    assert names(ledger.api_keys.get_all(subject="user_1")) == made[::-1]


def test_pages_hold_every_key_once_and_count_them_all(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    made = [create(name=f"key {number}").name for number in range(7)]

    pages = [ledger.api_keys.get_all(subject="user_1", initial_page=page, page_size=3) for page in (1, 2, 3)]

    assert [len(page.data) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in names(page)] == made[::-1]
    assert {page.total_count for page in pages} == {7}


@pytest.mark.parametrize("page", [2, 3, 10**6, 2**63, 10**40])
@pytest.mark.parametrize("size", [1, 100])
def test_a_page_past_the_end_is_empty_and_still_counts(
    ledger: KeyLedger, create: Callable[..., APIKey], page: int, size: int
) -> None:
    create()
    found = ledger.api_keys.get_all(subject="user_1", initial_page=page, page_size=size)
    assert found == Page(data=(), total_count=1)


def test_a_page_holds_ten_keys_unless_told_and_a_hundred_at_most(
    ledger: KeyLedger, create: Callable[..., APIKey]
) -> None:
    for _ in range(101):
        create()

    sizes = [len(ledger.api_keys.get_all(subject="user_1", page_size=size).data) for size in (1, 99, 100)]

    assert sizes == [1, 99, 100]
    assert len(ledger.api_keys.get_all(subject="user_1").data) == 10
    assert len(ledger.api_keys.get_all(subject="user_1", initial_page=2, page_size=100).data) == 1


def test_a_list_is_of_one_subject(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    create(subject="org_1")
    create(subject="org_2", name="of another")

    assert names(ledger.api_keys.get_all(subject="org_2")) == ["of another"]
    assert ledger.api_keys.get_all(subject="org_3") == Page(data=(), total_count=0)


def test_revoked_and_expired_keys_come_only_when_asked_for(
    ledger: KeyLedger, create: Callable[..., APIKey], eventually: Callable[..., Any]
) -> None:
    create(name="valid")
    ledger.api_keys.revoke(create(name="revoked").id)
    expired = create(name="expired", seconds_until_expiration=0.001)
    eventually(lambda: expired.reload().expired)

    valid = ledger.api_keys.get_all(subject="user_1")
    everything = ledger.api_keys.get_all(subject="user_1", include_invalid=True)

    assert (names(valid), valid.total_count) == (["valid"], 1)
    assert (names(everything), everything.total_count) == (["expired", "revoked", "valid"], 3)
    assert [(key.expired, key.revoked) for key in everything.data] == [
        (True, False),
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize(("query", "name"), FOUND)
def test_a_query_finds_a_part_of_the_name_in_any_case_and_script(
    ledger: KeyLedger, create: Callable[..., APIKey], query: str, name: str
) -> None:
    create(name=name, description="what for")
    create(name="%%% other ___") if query else None

    found = ledger.api_keys.get_all(subject="user_1", query=query)

    assert name in names(found)
    assert found.total_count == len(found.data)


@pytest.mark.parametrize(("query", "name"), NOT_FOUND)
def test_a_query_is_taken_literally(
    ledger: KeyLedger, create: Callable[..., APIKey], query: str, name: str
) -> None:
    create(name=name, description="what for")
    assert ledger.api_keys.get_all(subject="user_1", query=query) == Page(data=(), total_count=0)


def test_the_total_counts_the_matches_of_the_query(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    for name in ("one red", "two RED", "three blue", "four Red"):
        create(name=name)

    found = ledger.api_keys.get_all(subject="user_1", query="red", page_size=2)

    assert (names(found), found.total_count) == (["four Red", "two RED"], 3)


@pytest.mark.parametrize(("param", "value", "allowed"), BAD_ARGUMENTS)
def test_a_malformed_argument_of_a_list_is_refused(
    ledger: KeyLedger, param: str, value: Any, allowed: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        ledger.api_keys.get_all(**{"subject": "user_1", param: value})
    assert refused.value.param == param
    assert allowed in str(refused.value)


def test_a_list_reads_its_own_writes(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    for number in range(1, 6):
        key = create(name=f"key {number}")
        assert ledger.api_keys.get_all(subject="user_1").total_count == number
        assert ledger.api_keys.update(key.id, description=str(number)) == key.reload()
        assert ledger.api_keys.get_all(subject="user_1").data[0].description == str(number)
