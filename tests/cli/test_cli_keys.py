"""Creating, listing, showing and updating keys on the command line."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from click.testing import Result

from keyledger import Actor, KeyLedger

Run = Callable[..., Result]
Ask = Callable[..., Any]
Created = Callable[..., dict[str, Any]]

ID = "ak_" + 32 * "0"
NEW = ("keys", "create", "--name", "Deployments", "--subject", "org_1")


def test_a_created_key_is_one_json_object_with_the_secret_at_the_top(run: Run, ledger: KeyLedger) -> None:
    result = run(*NEW, "--json")

    key = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert ledger.verify(key["secret"]).valid
    assert (key["name"], key["subject"], key["secret_already_issued"]) == ("Deployments", "org_1", False)


def test_datetimes_are_iso_8601_in_utc(created: Created) -> None:
    created_at = created()["created_at"]

    assert created_at.endswith("Z")
    assert datetime.fromisoformat(created_at).utcoffset() is not None


def test_people_get_the_secret_once_alone_on_its_line(run: Run, ledger: KeyLedger) -> None:
    result = run(*NEW)

    secrets = [line for line in result.stdout.splitlines() if line and ledger.verify(line).valid]
    assert len(secrets) == 1
    assert result.stdout.count(secrets[0]) == 1
    assert "shown only now" in result.stdout


def test_every_field_of_a_new_key_can_be_given(created: Created, ledger: KeyLedger) -> None:
    options = (
        "--description",
        "For CI",
        "--type",
        "service",
        "--scope",
        "a",
        "--scope",
        "b",
        "--created-by",
        "u_9",
    )

    key = created("Full", *options, "--claims", '{"plan": ["pro", null]}')

    stored = ledger.api_keys.get(key["id"])
    assert (stored.name, stored.description, stored.type, stored.created_by) == (
        "Full",
        "For CI",
        "service",
        "u_9",
    )
    assert (stored.scopes, stored.claims) == (("a", "b"), {"plan": ["pro", None]})


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90", 90), ("1.5", 1.5), ("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600)],
)
def test_an_expiration_is_given_in_seconds_or_with_a_unit(created: Created, given: str, seconds: float) -> None:
    key = created("Expiring", "--expires-in", given)

    life = datetime.fromisoformat(key["expiration"]) - datetime.fromisoformat(key["created_at"])
    assert life.total_seconds() == seconds


@pytest.mark.parametrize("given", ["0", "-1", "0d", "1y", "d", "", " 5", "1e3", "٣", "5dd", "9" * 400 + "w"])
def test_any_other_expiration_is_wrong_usage(run: Run, given: str) -> None:
    result = run(*NEW, f"--expires-in={given}")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--expires-in" in result.stderr


@pytest.mark.parametrize(
    "claims", ['{"private": 1', "NaN", "[" * 100_000, "", '"\\ud800"', "[" + 5000 * "1" + "]"]
)
def test_claims_that_are_no_json_are_wrong_usage_and_not_repeated(run: Run, claims: str) -> None:
    result = run(*NEW, "--claims", claims)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "claims" in result.stderr
    assert "private" not in result.stderr
    assert len(result.stderr) < 500


def test_as_user_is_recorded_with_the_event_and_is_the_subject_of_none(
    ask: Ask, run: Run, ledger: KeyLedger
) -> None:
    key = ask("keys", "create", "--name", "Mine", "--as-user", "user_7")
    run("keys", "update", key["id"], "--description", "x", "--as-user", "user_8")
    run("keys", "revoke", key["id"], "--as-user", "user_9")

    assert (key["subject"], key["created_by"]) == ("user_7", "user_7")
    actors = [row.event.actor for row in ledger.event_rows(key["id"])]
    assert actors == [Actor(user_id="user_7"), Actor(user_id="user_8"), Actor(user_id="user_9")]


def test_with_neither_subject_nor_user_a_create_is_wrong_usage(run: Run) -> None:
    result = run("keys", "create", "--name", "Nobody's")

    assert result.exit_code == 2
    assert "give --subject (whose key it is), or --as-user for a user's own key" in result.stderr


def test_a_malformed_argument_is_wrong_usage_that_says_what_is_allowed(run: Run) -> None:
    result = run("keys", "create", "--name", "ab", "--subject", "org_1", "--json")

    assert (result.exit_code, result.stdout) == (2, "")
    error = json.loads(result.stderr)["error"]
    assert (error["type"], error["param"]) == ("InvalidArgument", "name")
    assert "3 to 255 characters" in error["message"]


def test_a_repeated_create_gives_the_same_key_without_a_secret(run: Run, created: Created) -> None:
    first = created("Once", "--idempotency-key", "k1")

    again = created("Once", "--idempotency-key", "k1")
    for_people = run("keys", "create", "--name", "Once", "--subject", "org_1", "--idempotency-key", "k1")

    assert (again["id"], again["secret"], again["secret_already_issued"]) == (first["id"], None, True)
    assert "made before" in for_people.stdout
    assert first["secret"] not in for_people.stdout


def test_another_create_with_a_used_idempotency_key_is_refused(run: Run, created: Created) -> None:
    created("Once", "--idempotency-key", "k1")

    result = run("keys", "create", "--name", "Other", "--subject", "org_1", "--idempotency-key", "k1", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr)["error"]["type"] == "IdempotencyConflict"


def test_a_list_holds_the_subjects_active_keys_newest_first(ask: Ask, created: Created) -> None:
    first, revoked, second = created("One"), created("Two"), created("Three")
    ask("keys", "create", "--name", "Elsewhere", "--subject", "org_2")
    ask("keys", "revoke", revoked["id"])

    listed = ask("keys", "list", "--subject", "org_1")
    everything = ask("keys", "list", "--subject", "org_1", "--all")

    assert [key["id"] for key in listed["data"]] == [second["id"], first["id"]]
    assert listed["total_count"] == 2
    assert [key["id"] for key in everything["data"]] == [second["id"], revoked["id"], first["id"]]
    assert all("secret" not in key for key in everything["data"])


def test_a_list_can_be_searched_and_paged(ask: Ask, created: Created) -> None:
    wanted = [created(f"Deploy {number}")["id"] for number in range(3)]
    created("Other")

    page = ask("keys", "list", "--subject", "org_1", "--query", "DEPLOY", "--page", "2", "--page-size", "2")
    beyond = ask("keys", "list", "--subject", "org_1", "--page", "9")

    assert ([key["id"] for key in page["data"]], page["total_count"]) == ([wanted[0]], 3)
    assert beyond == {"data": [], "total_count": 4}


@pytest.mark.parametrize(("option", "value"), [("--page", "0"), ("--page-size", "101"), ("--page", "x")])
def test_a_page_out_of_bounds_is_wrong_usage(run: Run, option: str, value: str) -> None:
    result = run("keys", "list", "--subject", "org_1", option, value)

    assert result.exit_code == 2
    assert option in result.stderr


def test_off_a_terminal_each_key_is_one_line_with_nothing_cut(run: Run, created: Created) -> None:
    key = created("N" * 255, "--scope", "s" * 255)

    lines = run("keys", "list", "--subject", "org_1").stdout.splitlines()

    assert [line for line in lines if key["id"] in line and "N" * 255 in line and "s" * 255 in line]
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(("listed", "said"), [(0, "0 keys, page 1 of 1"), (1, "1 key, page 1 of 1")])
def test_a_list_for_people_says_how_many_there_are(run: Run, created: Created, listed: int, said: str) -> None:
    for _ in range(listed):
        created()

    assert said in run("keys", "list", "--subject", "org_1").stdout


def test_a_page_past_the_end_is_told_as_such(run: Run, created: Created) -> None:
    created()

    assert (
        "1 key, there is no page 99; the last is 1"
        in run("keys", "list", "--subject", "org_1", "--page", "99").stdout
    )


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_scope_with_a_comma_is_one_scope_and_noted(
    run: Run, ledger: KeyLedger, as_json: tuple[str, ...]
) -> None:
    made = run(*NEW, "--scope", "a,b", "--scope", "c", *as_json)

    key = ledger.api_keys.get_all(subject="org_1").data[0]
    updated = run("keys", "update", key.id, "--scope", "d,e", *as_json)

    assert (made.exit_code, updated.exit_code, key.scopes) == (0, 0, ("a,b", "c"))
    assert made.stderr == "keyledger: the scope 'a,b' holds a comma; for two scopes give --scope twice\n"
    assert "'d,e' holds a comma" in updated.stderr


@pytest.mark.parametrize(
    ("raw", "escaped"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("[red]red[/red]", "[red]red[/red]"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202eevil", "\\u202eevil"),
        ("\x9b31m", "\\x9b31m"),
        (":smile:", ":smile:"),
    ],
)
def test_what_a_key_holds_is_printed_and_never_interpreted(
    run: Run, ledger: KeyLedger, raw: str, escaped: str
) -> None:
    name = f"<{raw}>"
    key = ledger.api_keys.create(
        name=name, subject="org_1", description=raw, scopes=[raw], claims={"claim": raw}, created_by=raw.strip()
    )
    ledger.api_keys.revoke(key.id, revocation_reason=raw)

    shown = run("keys", "show", key.id).stdout
    listed = run("keys", "list", "--subject", "org_1", "--all").stdout

    assert f"<{escaped}>" in shown
    assert f"<{escaped}>" in listed
    assert shown.count(escaped) >= 5
    assert all(character.isprintable() for character in (shown + listed).replace("\n", ""))
    as_json = json.loads(run("keys", "show", key.id, "--json").stdout)
    assert as_json["name"] == name


def test_json_is_one_line_of_ascii(run: Run, ledger: KeyLedger) -> None:
    key = ledger.api_keys.create(name="Schlüssel \u202e", subject="org_1")

    stdout = run("keys", "show", key.id, "--json").stdout

    assert stdout.isascii()
    assert stdout.count("\n") == 1


def test_a_key_is_shown_without_its_secret(run: Run, ask: Ask, created: Created) -> None:
    key = created()

    shown = ask("keys", "show", key["id"])

    assert shown == {field: value for field, value in key.items() if not field.startswith("secret")}
    assert key["secret"] not in run("keys", "show", key["id"]).stdout


@pytest.mark.parametrize("verb", ["show", "revoke", "update"])
def test_an_unknown_id_is_refused_and_a_malformed_one_wrong_usage(run: Run, verb: str) -> None:
    options = ("--description", "x") if verb == "update" else ()

    unknown = run("keys", verb, ID, *options, "--json")
    malformed = run("keys", verb, "ak_1", *options, "--json")

    assert (unknown.exit_code, unknown.stdout, malformed.exit_code, malformed.stdout) == (1, "", 2, "")
    assert json.loads(unknown.stderr)["error"]["type"] == "KeyNotFound"
    assert json.loads(malformed.stderr)["error"] == {
        "type": "MalformedKeyId",
        "message": "ID: a key's id is 'ak_' and 32 hexadecimal digits",
        "param": "api_key_id",
    }


FULL = ("--description", "d", "--scope", "a", "--claims", "[1]", "--expires-in", "90d")


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (("--description", "new"), {"description": "new"}),
        (("--description", ""), {"description": ""}),
        (("--clear-description",), {"description": None}),
        (("--scope", "x", "--scope", "y"), {"scopes": ["x", "y"]}),
        (("--clear-scopes",), {"scopes": []}),
        (("--claims", "0"), {"claims": 0}),
        (("--claims", "null"), {"claims": None}),
        (("--clear-claims",), {"claims": None}),
        (("--subject", "org_2"), {"subject": "org_2"}),
        (("--never-expires",), {"expiration": None}),
    ],
)
def test_an_update_changes_what_is_given_and_nothing_else(
    ask: Ask, created: Created, options: tuple[str, ...], changed: dict[str, Any]
) -> None:
    before = created("Full", *FULL)

    after = ask("keys", "update", before["id"], *options)

    kept = {field: value for field, value in before.items() if not field.startswith("secret")}
    assert after == kept | changed | {"updated_at": after["updated_at"]}
    assert ask("keys", "show", before["id"]) == after


def test_a_new_expiration_counts_from_now(ask: Ask, created: Created) -> None:
    key = created("Full", *FULL)

    after = ask("keys", "update", key["id"], "--expires-in", "1h")

    life = datetime.fromisoformat(after["expiration"]) - datetime.fromisoformat(after["updated_at"])
    assert life.total_seconds() == 3600


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--description", "x", "--clear-description"),
        ("--scope", "x", "--clear-scopes"),
        ("--claims", "null", "--clear-claims"),
        ("--expires-in", "1d", "--never-expires"),
    ],
)
def test_an_update_of_nothing_or_of_opposites_is_wrong_usage(
    run: Run, created: Created, options: tuple[str, ...]
) -> None:
    assert run("keys", "update", created()["id"], *options).exit_code == 2


def test_a_revoked_key_cannot_be_updated(run: Run, ask: Ask, created: Created) -> None:
    key = created()
    ask("keys", "revoke", key["id"])

    result = run("keys", "update", key["id"], "--description", "x", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr)["error"]["type"] == "KeyRevokedError"
