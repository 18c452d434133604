"""The control row of a key."""

import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from support.streams import created, given, revoked, updated

from keyledger.projections import control


def test_the_row_holds_the_whole_key() -> None:
    key = given(created(), updated(description="new"), revoked("leaked"))
    row = control.row(key)
    same = [field for field in control.ControlRow.__struct_fields__ if field in key.__struct_fields__]
    assert {field: getattr(row, field) for field in same if field not in ("scopes", "digest")} == {
        field: getattr(key, field) for field in same if field not in ("scopes", "digest")
    }
    assert row.scopes == list(key.scopes)
    assert (row.digest_algorithm, row.digest_kid, row.digest) == msgspec.structs.astuple(key.digest)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Production", "PRODUCTION"),
        ("Straße", "STRASSE"),
        ("ÉCOLE", "école"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("Ключ", "КЛЮЧ"),
    ],
)
def test_a_search_does_not_see_case(name: str, query: str) -> None:
    assert control.searchable(query) in control.searchable(name)


def test_a_search_does_not_see_how_a_letter_is_composed() -> None:
    assert control.searchable("caf\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}") == control.searchable(
        "café"
    )


@forall(st.text())
def test_what_is_searchable_stays_so(text: str) -> None:
    once = control.searchable(text)
    assert control.searchable(once) == once
