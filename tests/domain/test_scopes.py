"""The grammar of scopes: texts that mean themselves, and what ends with `:*`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyledger.domain.scopes import Grant

words = st.text("ab:*", max_size=6)


@pytest.mark.parametrize(
    ("granted", "wanted"),
    [
        ("repo:read", "repo:read"),
        ("repo:*", "repo:read"),
        ("repo:*", "repo:a:b"),
        ("repo:*", "repo:"),
        ("repo:*", "repo:*"),
        ("repo:*", "repo:a:*"),
        ("a:b:*", "a:b:c"),
        ("*", "anything"),
        ("*", "repo:*"),
        (":*", ":read"),
        ("a*", "a*"),
        ("*:read", "*:read"),
        ("a:*:b", "a:*:b"),
    ],
)
def test_what_is_allowed(granted: str, wanted: str) -> None:
    assert Grant.of([granted]).allows([wanted])


@pytest.mark.parametrize(
    ("granted", "wanted"),
    [
        ("repo:read", "repo:write"),
        ("repo:read", "repo:*"),
        ("repo:read", "repo:read:more"),
        ("repo:*", "repo"),
        ("repo:*", "repository:read"),
        ("repo:*", "Repo:read"),
        ("repo:*", "*"),
        ("a:b:*", "a:c"),
        ("a*", "ab"),
        ("*:read", "repo:read"),
        ("a:*:b", "a:c:b"),
        ("**", "a"),
    ],
)
def test_what_is_not_allowed(granted: str, wanted: str) -> None:
    assert not Grant.of([granted]).allows([wanted])


def test_every_scope_that_is_asked_for_has_to_be_allowed() -> None:
    grant = Grant.of(["repo:*", "deploy"])
    assert grant.allows([])
    assert grant.allows(["deploy", "repo:read"])
    assert not grant.allows(["deploy", "billing"])


def test_no_scopes_allow_nothing_but_what_asks_for_nothing() -> None:
    assert Grant.of([]).allows([])
    assert not Grant.of([]).allows(["a"])


@given(st.sets(words), words)
def test_a_scope_is_allowed_by_itself_or_by_a_pattern_that_covers_it(granted: set[str], wanted: str) -> None:
    covered = any(scope == "*" or (scope.endswith(":*") and wanted.startswith(scope[:-1])) for scope in granted)
    assert Grant.of(granted).allows([wanted]) == (wanted in granted or covered)


@given(st.sets(words), st.sets(words), st.lists(words))
def test_more_scopes_never_allow_less(granted: set[str], more: set[str], wanted: list[str]) -> None:
    if Grant.of(granted).allows(wanted):
        assert Grant.of(granted | more).allows(wanted)
