"""`keyledger projections status|rebuild|verify`."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from cli.terminal import Terminal
from click.testing import Result
from support import lives

from keyledger import KeyLedger
from keyledger.read_models import ALL

Run = Callable[..., Result]
Ask = Callable[..., Any]
NAMES = [model.name for model in ALL]
KEPT = sorted(name for name in NAMES if name != "control")


@pytest.fixture
def position(ledger: KeyLedger) -> int:
    """The position of events of every kind, all of them in the read models."""
    lives.live(ledger, 3)
    return ledger.catch_up()


@pytest.fixture
def forged(position: int, dsn: str) -> None:
    """Rows that no event explains."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE keyledger.key_usage SET uses = 77")


def test_status_says_how_far_each_read_model_has_come(run: Run, ask: Ask, position: int) -> None:
    found = ask("projections", "status")

    assert [each["name"] for each in found] == KEPT
    assert {(each["position"], each["lag_events"], each["lag_seconds"]) for each in found} == {(position, 0, 0.0)}
    assert {(each["stopped"], each["failure"], each["rebuilding"]) for each in found} == {(False, None, None)}
    shown = run("projections", "status").stdout
    assert all(name in shown for name in KEPT)
    assert shown.count("goes on") == len(KEPT)


def test_global_options_are_accepted_before_the_command(run: Run, position: int) -> None:
    assert json.loads(run("projections", "--json", "status").stdout)[0]["position"] == position


def test_an_unknown_read_model_is_told_which_there_are_and_that_it_may_be_left_out(run: Run) -> None:
    result = run("projections", "rebuild", "nope")

    assert result.exit_code == 2
    assert "NAME: one of 'control'" in result.stderr
    assert "; leave it out for all\n" in result.stderr
    assert "None" not in result.stderr


def test_status_says_which_has_stopped_and_why(run: Run, ask: Ask, position: int, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE keyledger.projections SET position = 2, failed_position = 3, failed_at = now(),"
            " failure = 'ValueError: it cannot be' WHERE name = 'usage'"
        )

    shown = run("projections", "status").stdout
    assert "stopped before 3" in shown
    assert f"{position - 2:,} events" in shown
    assert "the read model 'usage' has stopped before position 3: ValueError: it cannot be" in " ".join(
        shown.split()
    )
    (found,) = (each for each in ask("projections", "status") if each["name"] == "usage")
    assert (found["stopped"], found["failed_position"]) == (True, 3)
    assert json.loads(run("status", "--json").stdout)["health"] == "degraded"


def test_rebuild_makes_all_of_them_anew(run: Run, ask: Ask, position: int) -> None:
    found = ask("projections", "rebuild")["projections"]

    assert [each["name"] for each in found] == NAMES
    assert all(each["equal"] and each["old_digest"] == each["new_digest"] for each in found)
    assert {each["events"] for each in found} == {position}
    result = run("projections", "rebuild")
    assert (result.exit_code, result.stdout.count("the same"), result.stderr) == (0, len(NAMES), "")


def test_rebuild_makes_one_of_them_anew_and_says_that_it_differed(
    run: Run, ask: Ask, forged: None, ledger: KeyLedger
) -> None:
    result = run("projections", "rebuild", "usage")

    assert result.exit_code == 0
    assert "DIFFERENT: replaced" in result.stdout
    assert "history" not in result.stdout
    assert ledger.replay.verify_projections().ok


def test_rebuild_of_one_that_is_not_there_says_which_are(run: Run, position: int) -> None:
    result = run("projections", "rebuild", "events")

    assert result.exit_code == 2
    assert all(repr(name) in result.stderr for name in NAMES)


def test_verify_finds_nothing_wrong_where_nothing_is(run: Run, ask: Ask, position: int) -> None:
    found = ask("projections", "verify")

    assert found["ok"]
    assert [(each["name"], each["position"], each["differing"]) for each in found["projections"]] == [
        (name, position, 0) for name in NAMES
    ]
    assert run("projections", "verify").stdout.count("as the events say") == len(NAMES)


def test_verify_refuses_what_differs_and_names_the_first_difference(run: Run, forged: None) -> None:
    shown = run("projections", "verify")
    told = run("projections", "verify", "--json")

    assert (shown.exit_code, told.exit_code) == (1, 1)
    assert "3 differ" in shown.stdout
    assert "The first difference of usage: key_usage, id = " in shown.stdout
    assert "found     77" in shown.stdout
    found = json.loads(told.stdout)
    (usage,) = (each for each in found["projections"] if each["name"] == "usage")
    assert not found["ok"]
    assert (usage["difference"]["column"], usage["difference"]["found"]) == ("uses", 77)


@pytest.mark.parametrize(("command", "doing"), [("rebuild", "rebuilding"), ("verify", "verifying")])
def test_on_a_terminal_a_bar_says_how_far_it_is(here: str, position: int, command: str, doing: str) -> None:
    with Terminal("projections", command, columns=120) as terminal:
        assert terminal.end() == 0

    assert f"{position}/{position} events" in terminal.text
    assert f"{doing} {NAMES[-1]}" in terminal.text
