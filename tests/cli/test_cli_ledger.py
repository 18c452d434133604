"""`migrate` and `status`."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from keyledger import KeyLedger
from keyledger.domain import secret
from keyledger.domain.ids import new_uuid
from keyledger.infrastructure import schema

Run = Callable[..., Result]
Ask = Callable[..., Any]


def test_migrate_says_what_it_applied_and_then_that_nothing_was_to_do(run: Run, empty_dsn: str) -> None:
    first = run("migrate", "--dsn", empty_dsn)
    second = run("migrate", "--dsn", empty_dsn)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.splitlines() == [
        f"applied {len(schema.MIGRATIONS)} migrations",
        f"The schema is at version {schema.CURRENT}.",
    ]
    assert "nothing to do" in second.stdout
    KeyLedger.open(empty_dsn).close()


def test_migrate_names_the_migrations_where_they_are_few(
    run: Run, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyledger.cli.ledger._FEW", len(schema.MIGRATIONS))

    shown = run("migrate", "--dsn", empty_dsn).stdout

    assert shown.splitlines()[:-1] == [f"applied {name}" for name, _ in schema.MIGRATIONS]


def test_migrate_lists_the_migrations_for_programs(ask: Ask, empty_dsn: str) -> None:
    names = [name for name, _ in schema.MIGRATIONS]

    assert ask("migrate", "--dsn", empty_dsn) == {"applied": names, "schema_version": len(names)}
    assert ask("migrate", "--dsn", empty_dsn) == {"applied": [], "schema_version": len(names)}


def test_status_counts_what_is_there(ask: Ask, ledger: KeyLedger) -> None:
    keys = [ledger.api_keys.create(name=f"Key {number}", subject="org_1") for number in range(3)]
    ledger.api_keys.revoke(keys[0].id)
    ledger.catch_up()

    status = ask("status")

    assert (status["api_keys"], status["revoked"], status["outbox"]) == (3, 1, 0)
    assert (status["schema_version"], status["newest_schema_version"]) == (schema.CURRENT, schema.CURRENT)
    assert (status["last_flush_at"], status["data_dir"], status["pepper"]) == (None, None, "none")
    assert status["events"] == 4
    assert status["events_bytes"] > 0
    assert ask("keys", "verify", stdin=keys[1].secret)["valid"]
    assert ask("status")["last_flush_at"].endswith("Z")


def test_status_says_how_many_events_there_are_and_who_numbers_them(run: Run, ledger: KeyLedger) -> None:
    ledger.api_keys.create(name="a key", subject="org_1")
    ledger.catch_up()

    shown = run("status").stdout

    assert "events" in shown
    assert " 1, " in shown
    assert "bytes with their indexes" in shown
    assert "position 1; a process holds the role (epoch " in shown
    assert "last flush of uses  never" in shown


def test_status_says_what_it_means_that_there_is_no_pepper(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    without = run("status").stdout
    monkeypatch.setenv("KEYLEDGER_PEPPERS", f"p1:{base64.b64encode(b'p' * 32).decode()}")
    with_one = run("status").stdout

    assert "KEYLEDGER_PEPPERS" in without
    assert "KEYLEDGER_PEPPERS" not in with_one
    assert [line for line in with_one.splitlines() if line.split() == ["pepper", "p1"]]


def test_status_names_a_pepper_that_live_keys_need_and_advises_no_new_one(
    run: Run, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYLEDGER_PEPPERS", f"2030:{base64.b64encode(b'p' * 32).decode()}")
    ask("keys", "create", "--name", "a key", "--subject", "org_1")
    monkeypatch.delenv("KEYLEDGER_PEPPERS")

    status, shown = json.loads(run("status", "--json").stdout), run("status").stdout

    assert (status["health"], status["missing_peppers"], status["pepper"]) == ("degraded", ["2030"], "none")
    assert "was not given ('2030')" in status["problems"][0]
    assert status["problems"][0] in shown
    assert "openssl" not in shown


def test_a_key_that_is_made_without_the_pepper_of_others_is_told_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = ("keys", "create", "--name", "a key", "--subject", "org_1", "--json")
    first = run(*new)
    monkeypatch.setenv("KEYLEDGER_PEPPERS", f"2030:{base64.b64encode(b'p' * 32).decode()}")
    second = run(*new)
    monkeypatch.delenv("KEYLEDGER_PEPPERS")
    third = run(*new)

    assert (first.stderr, second.stderr, third.exit_code) == ("", "", 0)
    assert "without a pepper, though other keys have one ('2030')" in third.stderr


def test_an_embedded_ledger_is_migrated_announced_once_and_has_a_pepper_of_its_own(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "data"

    migrated = run("migrate", "--data-dir", str(folder), "--json")
    second = run("--data-dir", str(folder), "status", "--json")

    status = json.loads(second.stdout)
    assert json.loads(migrated.stdout)["applied"] == [name for name, _ in schema.MIGRATIONS]
    assert f"a new ledger was made in {folder}" in migrated.stderr
    assert second.stderr == ""
    assert (status["data_dir"], status["pepper"]) == (str(folder.resolve()), "embedded")


def test_a_new_ledger_in_an_empty_folder_is_announced_to_programs_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)

    result = run("--data-dir", "empty", "keys", "create", "--name", "a key", "--subject", "org_1", "--json")

    assert json.loads(result.stdout)["name"] == "a key"
    assert result.stderr == f"keyledger: a new ledger was made in {tmp_path / 'empty'}\n"


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("keys", "list", "--subject", "org_1"),
        ("keys", "revoke", "ak_" + 32 * "0"),
        ("keys", "revoke", "--secret-stdin"),
        ("audit", "history"),
        ("replay", "keys", "--at", "1h"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_where_there_is_no_ledger_nothing_is_looked_for_and_none_is_made(
    run: Run, tmp_path: Path, command: tuple[str, ...], there: bool
) -> None:
    folder = tmp_path / "wrong"
    if there:
        folder.mkdir()

    result = run("--data-dir", str(folder), *command, stdin=secret.generate(new_uuid()))

    assert (result.exit_code, result.stdout) == (3, "")
    assert f"there is no ledger in {folder}: say where it is with --data-dir" in result.stderr
    assert not there or not list(folder.iterdir())
    assert there or not folder.exists()


def test_the_exit_code_says_whether_the_health_is_ok(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYLEDGER_PEPPERS", f"2030:{base64.b64encode(b'p' * 32).decode()}")
    run("keys", "create", "--name", "a key", "--subject", "org_1")
    healthy = run("status")
    monkeypatch.delenv("KEYLEDGER_PEPPERS")

    degraded = run("status")

    assert (healthy.exit_code, degraded.exit_code) == (0, 1)
    assert "degraded" in degraded.stdout


@pytest.mark.parametrize("command", [("status",), ("migrate",), ("projections", "rebuild")])
def test_a_folder_of_other_things_is_refused_and_left_alone(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "design.md").write_text("Design")

    result = run("--data-dir", str(folder), *command)

    assert (result.exit_code, result.stdout) == (3, "")
    assert f"{folder} holds no ledger but other things (design.md)" in result.stderr
    assert "give a new or an empty folder, or a ledger's" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["design.md"]
