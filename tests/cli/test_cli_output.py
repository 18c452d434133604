"""What people see: safe text, and tables that fit the terminal."""

from collections.abc import Callable
from typing import Any

import pytest
from cli.terminal import Terminal
from hypothesis import given
from hypothesis import strategies as st

from keyledger.cli.output import printable

Created = Callable[..., dict[str, Any]]
LIST = ("keys", "list", "--subject", "org_1")


@given(st.text(st.characters()))
def test_printable_text_stays_and_all_other_is_escaped(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    if text.isprintable():
        assert shown == text
    else:
        assert len(shown) > len(text)


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_a_terminal_of_any_width_shows_every_id_whole_and_every_name_to_its_end(
    created: Created, columns: int
) -> None:
    keys = [created(f"{'long ' * 20}name number {number}", "--expires-in", "90d") for number in range(3)]

    with Terminal(*LIST, columns=columns) as terminal:
        code = terminal.end()

    lines = terminal.text.splitlines()
    assert code == 0
    assert all([line for line in lines if key["id"] in line] for key in keys)
    assert max(map(len, lines)) <= max(columns, 76)
    assert "last used" in terminal.text
    assert "…" not in terminal.text


def test_a_terminal_gets_colour_unless_no_color_is_set(created: Created, monkeypatch: pytest.MonkeyPatch) -> None:
    created()
    green = "\x1b[32m"

    with Terminal(*LIST) as coloured:
        coloured.end()
    monkeypatch.setenv("NO_COLOR", "1")
    with Terminal(*LIST) as plain:
        plain.end()

    assert green in coloured.seen
    assert green not in plain.seen


def test_the_secret_is_not_folded_on_a_narrow_terminal(here: str) -> None:
    with Terminal("keys", "create", "--name", "Narrow", "--subject", "org_1", columns=40) as terminal:
        code = terminal.end()

    assert code == 0
    assert [line for line in terminal.text.splitlines() if line.startswith("ak_") and len(line) == 74]
