"""`keyledger replay key|keys|diff`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from cli.terminal import Terminal
from click.testing import Result

from keyledger import KeyLedger

Run = Callable[..., Result]
Ask = Callable[..., Any]
Created = Callable[..., dict[str, Any]]

NOBODYS = "ak_" + 32 * "0"


@pytest.fixture
def key(ledger: KeyLedger, created: Created, run: Run) -> dict[str, Any]:
    """A key that was created (1), given another scope (2) and revoked (3)."""
    key = created("Deployments", "--scope", "a")
    run("keys", "update", key["id"], "--scope", "a", "--scope", "b", "--as-user", "user_8")
    run("keys", "revoke", key["id"], "--reason", "leaked", "--as-user", "user_9")
    ledger.catch_up()
    return key


def test_a_key_is_shown_as_it_was(ask: Ask, key: dict[str, Any]) -> None:
    now = datetime.now(UTC).isoformat()
    found = [ask("replay", "key", key["id"], "--at", at) for at in ("@1", "2", now, "0.001s")]

    assert [(each["scopes"], each["revoked"]) for each in found] == [
        (["a"], False),
        (["a", "b"], False),
        (["a", "b"], True),
        (["a", "b"], True),
    ]
    assert {**found[0], "secret": key["secret"], "secret_already_issued": False} == key


def test_people_see_the_key_as_keys_show_shows_it(run: Run, ask: Ask, key: dict[str, Any]) -> None:
    shown = run("replay", "key", key["id"], "--at", "@3")

    assert shown.stdout == "As of position 3:\n\n" + run("keys", "show", key["id"]).stdout


def test_people_are_told_which_time_it_was_so_long_ago(run: Run, key: dict[str, Any]) -> None:
    before = datetime.now(UTC)
    shown = run("replay", "key", key["id"], "--at", "0.000001s").stdout

    first = shown.splitlines()[0]
    told = datetime.strptime(first, "As of %Y-%m-%d %H:%M:%S.%fZ:").replace(tzinfo=UTC)
    assert before - timedelta(seconds=1) < told < datetime.now(UTC)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("@0", "position 0"),
        ("2h", "20"),
        ("2020-01-01T00:00:00Z", "2020-01-01 00:00:00.000000Z"),
        ("2020-01-01T00:00:00+02:00", "2019-12-31 22:00:00.000000Z"),
    ],
)
def test_a_key_that_did_not_exist_then_is_a_refusal(run: Run, key: dict[str, Any], at: str, told: str) -> None:
    result = run("replay", "key", key["id"], "--at", at)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{key['id']} did not exist at {told}" in result.stderr
    assert f"it was created {key['created_at'][:10]}" in result.stderr


def test_a_key_that_was_deleted_is_told_with_the_time_it_was(
    run: Run, ask: Ask, created: Created, ledger: KeyLedger
) -> None:
    gone = created("Gone")
    ask("keys", "delete", gone["id"])
    ledger.catch_up()

    before, *after = (run("replay", "key", gone["id"], "--at", at) for at in ("2h", "@2", "now"))

    assert [each.exit_code for each in (before, *after)] == [1, 1, 1]
    assert f"it was created {gone['created_at'][:10]}" in before.stderr
    for result in after:
        assert f"{gone['id']} did not exist at " in result.stderr
        assert f"it was deleted {datetime.now(UTC):%Y-%m-}" in result.stderr
    assert run("replay", "key", gone["id"], "--at", "@1").exit_code == 0


@pytest.mark.parametrize("at", ["@3", "now", "2h"])
def test_an_id_that_no_key_ever_had_is_told_apart(run: Run, key: dict[str, Any], at: str) -> None:
    result = run("replay", "key", NOBODYS, "--at", at)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"no key {NOBODYS} was ever created here" in result.stderr


@pytest.mark.parametrize(
    "at",
    [
        "",
        "yesterday",
        "-1",
        "@",
        "@-1",
        "2020-01-01T00:00:00",
        "1y",
        "9" * 300 + "w",
        "@" + "9" * 31,
        "2020-13-01Z",
    ],
)
def test_any_other_moment_is_wrong_usage(run: Run, at: str) -> None:
    result = run("replay", "key", NOBODYS, f"--at={at}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "how long ago (90s, 30m, 2h, 7d, 1w)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (("key", NOBODYS, "--at", "@99"), "--at: a time, or a position up to the last one, which is 3"),
        (("keys", "--at", "9999-01-01T00:00:00Z"), "--at: a time that is not in the future"),
        (("diff", "--from", "@2", "--to", "@1"), "--from: a moment that is not after the end"),
        (
            ("diff", "--from", "@2", "--to", "1h"),
            "--to: of the same kind as the start: two positions or two times",
        ),
        (("key", "ak_1", "--at", "@1"), "ID: "),
    ],
)
def test_a_moment_that_the_ledger_refuses_is_wrong_usage(
    run: Run, key: dict[str, Any], arguments: tuple[str, ...], about: str
) -> None:
    result = run("replay", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert about in result.stderr


def test_all_keys_are_shown_as_they_were(ask: Ask, run: Run, created: Created, key: dict[str, Any]) -> None:
    other = created("Elsewhere")
    run("keys", "update", other["id"], "--subject", "org_2")

    def ids(*options: str) -> list[str]:
        return [each["id"] for each in ask("replay", "keys", *options)]

    assert ids("--at", "@2") == [key["id"]]
    assert ids("--at", "@4") == [other["id"]]
    assert ids("--at", "@4", "--include-invalid") == [key["id"], other["id"]]
    assert ids("--at", "@4", "--subject", "org_1") == [other["id"]]
    assert ids("--at", "@5", "--subject", "org_1") == []
    assert ids("--at", "2h") == []


def test_people_see_all_keys_in_a_table(run: Run, key: dict[str, Any]) -> None:
    shown = run("replay", "keys", "--at", "@2").stdout

    assert key["id"] in shown
    assert "1 key as of position 2; those that were revoked or expired are left out" in shown
    assert run("replay", "keys", "--at", "@0", "--include-invalid").stdout == "0 keys as of position 0\n"


def test_people_see_whose_each_key_was_where_they_ask_for_all(run: Run, key: dict[str, Any]) -> None:
    for options, told in (((), True), (("--subject", "org_1"), False)):
        shown = run("replay", "keys", "--at", "@2", *options).stdout
        assert ("org_1" in shown, key["id"] in shown) == (told, True)


def test_more_than_fit_into_one_batch_are_all_shown(
    run: Run, ask: Ask, created: Created, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("keyledger.cli.replay"), "_ROWS", 2)
    monkeypatch.setattr("keyledger.cli.output._BATCH", 2)
    ids = [created(f"key {number}")["id"] for number in range(5)]

    shown, changes = (
        run("replay", *options).stdout for options in (("keys", "--at", "now"), ("diff", "--from", "@0"))
    )

    assert [each["id"] for each in ask("replay", "keys", "--at", "now")] == ids
    assert [each["api_key_id"] for each in ask("replay", "diff", "--from", "@0")] == ids
    for text, last in ((shown, "5 keys as of"), (changes, "5 changes from")):
        assert [text.count(key_id) for key_id in ids] == [1] * 5
        assert last in text


def test_a_diff_names_the_change_and_the_event_that_did_it(
    ask: Ask, ledger: KeyLedger, key: dict[str, Any]
) -> None:
    (gained,), (widened,), (lost,) = (
        ask("replay", "diff", "--from", f"@{at}", "--to", f"@{at + 1}") for at in range(3)
    )

    assert (gained["kind"], gained["before"], gained["after"]["scopes"]) == ("gained", None, ["a"])
    assert (widened["kind"], widened["after"]["scopes"], widened["position"]) == ("widened", ["a", "b"], 2)
    assert (lost["kind"], lost["event_type"], lost["actor"]["user_id"]) == ("lost", "KeyRevoked", "user_9")
    rows = ledger.event_rows(key["id"])
    assert [each["event_id"] for each in (gained, widened, lost)] == [str(row.event.id) for row in rows]
    assert ask("replay", "diff", "--from", "2h", "--to", datetime.now(UTC).isoformat()) == []


def test_a_diff_that_names_no_end_goes_up_to_now(ask: Ask, created: Created) -> None:
    created("Before")
    time = datetime.now(UTC).isoformat()
    key = created("After")

    for start in ("@1", time):
        (gained,) = ask("replay", "diff", "--from", start)
        assert (gained["kind"], gained["api_key_id"]) == ("gained", key["id"])


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_a_terminal_of_any_width_shows_all_of_a_change(key: dict[str, Any], columns: int) -> None:
    with Terminal("replay", "diff", "--from", "@2", columns=columns) as terminal:
        assert terminal.end() == 0

    shown = terminal.text
    assert max(map(len, shown.splitlines())) <= max(columns, 76)
    assert all(each in shown for each in (key["id"], "leaked", "KeyRevoked", "@3", "user_9"))
    assert "…" not in shown


def test_people_are_told_that_a_diff_is_the_net_one(run: Run, key: dict[str, Any]) -> None:
    shown = run("replay", "diff", "--from", "@0", "--to", "@3").stdout

    assert shown.startswith("0 changes from position 0 to position 3\n")
    assert "done and undone in between" in shown


def test_a_key_that_moved_is_not_told_as_created(run: Run, created: Created) -> None:
    key = created("Moving")
    run("keys", "update", key["id"], "--subject", "org_2")

    told = [
        run("replay", "diff", "--from", start, "--to", "@2", "--subject", subject).stdout
        for start, subject in (("@0", "org_2"), ("@1", "org_2"), ("@1", "org_1"))
    ]

    for shown, what in zip(
        told, ("created in between, then updated", "came from org_1", "went to org_2"), strict=True
    ):
        assert what in shown


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (0, ("gained", "created", "scopes a", "expires never", "org_1", "KeyCreated @1")),
        (1, ("widened", "+b", "KeyUpdated @2", "user_8")),
        (2, ("lost", "revoked: leaked", "KeyRevoked @3", "user_9")),
    ],
)
def test_people_see_a_diff_in_a_table(run: Run, key: dict[str, Any], start: int, told: tuple[str, ...]) -> None:
    shown = run("replay", "diff", "--from", f"@{start}", "--to", f"@{start + 1}").stdout

    assert all(each in shown for each in (*told, key["id"], "1 change"))


def test_an_expiry_is_told_as_no_events(run: Run, ask: Ask, created: Created) -> None:
    key = created("Expiring", "--expires-in", "5")
    start, end = key["created_at"], key["expiration"]

    shown = run("replay", "diff", "--from", start, "--to", end).stdout
    (lost,) = ask("replay", "diff", "--from", start, "--to", end, "--subject", "org_1")

    assert "lost" in shown
    assert "no event" in shown
    assert (lost["event_id"], lost["position"], lost["occurred_at"]) == (None, None, end)
    assert datetime.fromisoformat(end) - datetime.fromisoformat(start) == timedelta(seconds=5)


def test_the_past_is_told_although_a_read_model_has_stopped(
    ledger: KeyLedger, ask: Ask, run: Run, key: dict[str, Any]
) -> None:
    ledger._database.run(
        lambda connection: connection.execute(
            "UPDATE keyledger.projections SET position = 0, failed_position = 1, failure = 'poison'"
        )
    )

    assert [change["event_type"] for change in ask("replay", "diff", "--from", "1")] == ["KeyRevoked"]
    assert run("replay", "key", NOBODYS, "--at", "1").exit_code == 1
