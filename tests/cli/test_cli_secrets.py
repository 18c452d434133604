"""Verifying secrets, and revoking by id or by a leaked secret."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cli.terminal import Terminal
from click.testing import Result

from keyledger import KeyLedger
from keyledger.domain import secret
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import parse_key_id

Run = Callable[..., Result]
Ask = Callable[..., Any]
Created = Callable[..., dict[str, Any]]


def wrong_secret(key: dict[str, Any]) -> str:
    """A well-formed secret that carries the key's id and is not the key's."""
    return secret.generate(parse_key_id(key["id"]))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_valid_secret_is_read_from_stdin_without_its_line_end(run: Run, created: Created, end: str) -> None:
    key = created()

    result = run("keys", "verify", "--json", stdin=key["secret"] + end)

    found = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (found["valid"], found["code"], found["api_key"]["id"]) == (True, "valid", key["id"])
    assert key["secret"] not in result.stdout


@pytest.mark.parametrize("code", ["malformed", "not_found", "revoked", "expired", "insufficient_scope"])
def test_a_secret_that_is_not_valid_exits_1_with_the_reason_on_stdout(
    run: Run, ask: Ask, created: Created, ledger: KeyLedger, code: str
) -> None:
    key = created("Refused", *(("--expires-in", "0.000001") if code == "expired" else ()))
    if code == "revoked":
        ask("keys", "revoke", key["id"])
    text = {"malformed": key["secret"][:-1], "not_found": wrong_secret(key)}.get(code, key["secret"])
    scopes = ("--scope", "admin") if code == "insufficient_scope" else ()

    result = run("keys", "verify", *scopes, "--json", stdin=text)
    for_people = run("keys", "verify", *scopes, stdin=text)

    found = json.loads(result.stdout)
    assert (result.exit_code, result.stderr, found["valid"], found["code"]) == (1, "", False, code)
    assert (found["api_key"] is None) is (code in ("malformed", "not_found"))
    assert (for_people.exit_code, for_people.stderr) == (1, "")
    assert for_people.stdout.startswith(f"{code}: ")
    assert text not in result.stdout + for_people.stdout


def test_a_scope_that_the_key_has_is_accepted(run: Run, created: Created) -> None:
    key = created("Scoped", "--scope", "a", "--scope", "b")

    assert run("keys", "verify", "--scope", "b", stdin=key["secret"]).exit_code == 0


@pytest.mark.parametrize("stdin", ["", "\n", "x" * 1_000_000, b"\xff\x00" * 50, b"ak_" + b"0" * 5000])
def test_whatever_stands_on_stdin_gets_an_answer(run: Run, stdin: str | bytes) -> None:
    result = run("keys", "verify", "--json", stdin=stdin)

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"valid": False, "code": "malformed", "api_key": None}


def test_only_one_line_end_is_taken_away(run: Run, created: Created) -> None:
    assert run("keys", "verify", stdin=created()["secret"] + "\n\n").exit_code == 1


def test_an_accepted_verification_is_stored_as_a_use(run: Run, created: Created, ledger: KeyLedger) -> None:
    key = created()

    run("keys", "verify", stdin=key["secret"])

    uses = [
        use for row in ledger.event_rows(key["id"]) if isinstance(row.event, KeyUsed) for use in row.event.uses
    ]
    assert [(use.outcome, use.use.user_agent) for use in uses] == [("valid", "keyledger command line")]
    ledger.catch_up()
    assert ledger.api_keys.get(key["id"]).last_used_at == uses[0].occurred_at


def test_a_secret_typed_at_a_terminal_is_not_shown(created: Created) -> None:
    key = created()

    with Terminal("keys", "verify") as terminal:
        terminal.await_text("Secret (not shown): ")
        terminal.type(key["secret"] + "\n")
        code = terminal.end()

    assert code == 0
    assert "valid" in terminal.text
    assert key["secret"] not in terminal.seen


def test_ctrl_c_at_the_prompt_ends_quietly_with_130(here: str) -> None:
    with Terminal("keys", "verify") as terminal:
        terminal.await_text("Secret (not shown): ")
        terminal.type("\x03")
        code = terminal.end()

    assert code == 130
    assert terminal.text.replace("^C", "").strip() == "Secret (not shown):"


def test_end_of_input_at_the_prompt_is_an_empty_secret(here: str) -> None:
    with Terminal("keys", "verify") as terminal:
        terminal.await_text("Secret (not shown): ")
        terminal.type("\x04")
        code = terminal.end()

    assert code == 1
    assert "malformed" in terminal.text


def test_a_key_is_revoked_by_its_id(ask: Ask, created: Created, ledger: KeyLedger) -> None:
    key = created()

    revoked = ask("keys", "revoke", key["id"], "--reason", "leaked")

    assert (revoked["revoked"], revoked["revocation_reason"]) == (True, "leaked")
    assert ledger.verify(key["secret"]).code == "revoked"


def test_a_second_revoke_succeeds_and_keeps_the_first_reason(ask: Ask, created: Created) -> None:
    key = created()

    first = ask("keys", "revoke", key["id"], "--reason", "first")
    second = ask("keys", "revoke", key["id"], "--reason", "second")

    assert second == first


@pytest.mark.parametrize("options", [(), ("--expires-in", "0.000001"), ("--scope", "a")])
def test_a_leaked_secret_revokes_the_key_that_it_belongs_to(
    ask: Ask, created: Created, ledger: KeyLedger, options: tuple[str, ...]
) -> None:
    other, key = created("Other"), created("Leaked", *options)

    revoked = ask("keys", "revoke", "--secret-stdin", "--reason", "leaked", stdin=key["secret"] + "\n")

    assert (revoked["id"], revoked["revoked"], revoked["revocation_reason"]) == (key["id"], True, "leaked")
    assert not ledger.api_keys.get(other["id"]).revoked


@pytest.mark.parametrize("scope", ["a", "*", "keyledger keys revoke --secret-stdin"])
def test_the_check_of_a_leaked_secret_is_no_use_of_the_key(
    ask: Ask, created: Created, ledger: KeyLedger, scope: str
) -> None:
    key = created("Leaked", "--scope", scope)

    ask("keys", "revoke", "--secret-stdin", stdin=key["secret"])

    attempts = [
        use for row in ledger.event_rows(key["id"]) if isinstance(row.event, KeyUsed) for use in row.event.uses
    ]
    assert [use.outcome for use in attempts] == ["insufficient_scope"]
    assert ledger.api_keys.get(key["id"]).last_used_at is None


def test_a_leaked_secret_of_a_credential_revokes_the_credential(ask: Ask, ledger: KeyLedger) -> None:
    credential = ask("credentials", "create", "--name", "Billing", "--scopes", "keys:read")

    revoked = ask("keys", "revoke", "--secret-stdin", stdin=credential["secret"] + "\n")

    assert (revoked["id"], revoked["revoked"]) == (credential["id"], True)
    assert ledger.api_keys.get(credential["id"]).revoked


def test_verifying_the_secret_of_a_credential_says_what_it_is_and_how_to_revoke_it(run: Run, ask: Ask) -> None:
    text = ask("credentials", "create", "--name", "Billing", "--scopes", "keys:read")["secret"]

    for_people, damaged = run("keys", "verify", stdin=text), run("keys", "verify", stdin=text + "x")

    assert (for_people.exit_code, damaged.exit_code) == (1, 1)
    assert "service credential" in for_people.stdout
    assert "keyledger keys revoke --secret-stdin" in for_people.stdout
    assert "service credential" not in damaged.stdout
    assert text not in for_people.stdout + damaged.stdout


def test_people_are_told_whether_it_was_this_command_that_revoked_the_key(run: Run, created: Created) -> None:
    key = created()

    first = run("keys", "revoke", "--secret-stdin", stdin=key["secret"]).stdout
    again = run("keys", "revoke", key["id"], "--reason", "leaked in a build log").stdout

    assert (
        first.splitlines()[0] == "Revoked; no process accepts it later than a second (its lease_seconds) from now."
    )
    told = again.splitlines()[0]
    assert told.startswith("It was revoked before, at 20")
    assert told.endswith("Z; nothing was changed, the reason neither.")
    assert "leaked in a build log" not in again


def test_a_leaked_secret_of_a_revoked_key_changes_nothing(ask: Ask, created: Created) -> None:
    key = created()
    first = ask("keys", "revoke", key["id"], "--reason", "first")

    assert ask("keys", "revoke", "--secret-stdin", "--reason", "second", stdin=key["secret"]) == first


@pytest.mark.parametrize("wrong", ["another secret", "garbage", ""])
def test_a_text_that_is_not_the_keys_secret_revokes_nothing(
    run: Run, created: Created, ledger: KeyLedger, wrong: str
) -> None:
    key = created()
    text = wrong_secret(key) if wrong == "another secret" else wrong

    result = run("keys", "revoke", "--secret-stdin", "--json", stdin=text)

    assert (result.exit_code, result.stdout) == (1, "")
    error = json.loads(result.stderr)["error"]
    assert error["type"] == "Refused"
    assert "nothing was revoked" in error["message"]
    assert not ledger.api_keys.get(key["id"]).revoked


@pytest.mark.parametrize("form", ["Authorization: Bearer {}", "Bearer {}", "", "{}\n{}"])
@pytest.mark.parametrize("verb", [("verify",), ("revoke", "--secret-stdin")])
def test_more_or_less_than_the_secret_is_told_what_stdin_must_hold(
    run: Run, created: Created, verb: tuple[str, ...], form: str
) -> None:
    text = created()["secret"]

    result = run("keys", *verb, stdin=form.format(text, text))

    assert result.exit_code == 1
    assert "stdin must hold the secret alone" in result.output
    assert "without 'Bearer'" in result.output
    assert text not in result.output


@pytest.mark.parametrize("arguments", [(), ("ak_" + 32 * "0", "--secret-stdin")])
def test_a_revoke_names_its_key_in_exactly_one_way(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("keys", "revoke", *arguments).exit_code == 2


def test_without_the_pepper_a_leaked_secret_is_unavailable_and_the_message_names_the_id(
    run: Run, ask: Ask, created: Created, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYLEDGER_PEPPERS", f"p1:{base64.b64encode(b'p' * 32).decode()}")
    key = created()
    monkeypatch.delenv("KEYLEDGER_PEPPERS")

    result = run("keys", "revoke", "--secret-stdin", stdin=key["secret"])

    assert (result.exit_code, result.stdout) == (3, "")
    assert key["id"] in result.stderr
    assert key["secret"] not in result.stderr
    assert ask("keys", "revoke", key["id"])["revoked"]
