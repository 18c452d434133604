"""`keyledger demo`."""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from keyledger import KeyLedger
from keyledger.domain import secret

Run = Callable[..., Result]
Ask = Callable[..., Any]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, which must be empty in the end."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_the_demo_runs_to_its_end_in_a_directory_that_is_then_gone(
    command: Command, temporary: Path, ledger: KeyLedger
) -> None:
    done = command("demo")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Every step went as it should" in done.stdout
    assert not secret.occurs_in(done.stdout)
    assert ledger.status().store.api_keys == 0, "KEYLEDGER_DSN must not be written to"


def test_the_demos_json_agrees_with_itself_and_with_the_ledger(ask: Ask, dsn: str, ledger: KeyLedger) -> None:
    told = ask("demo", "--dsn", dsn)

    steps = {step["step"]: step for step in told["steps"]}
    names = ["start", "create", "list", "search", "verify", "last_used", "tamper", "revoke", "refusal"]
    assert list(steps) == [*names, "list_again", "replay", "events", "audit"]
    created = steps["create"]["api_key_ids"]
    assert steps["list"]["api_key_ids"] == created[::-1]
    assert set(steps["search"]["api_key_ids"]) < set(created)
    assert (steps["verify"]["code"], steps["tamper"]["code"], steps["refusal"]["code"]) == (
        "valid",
        "malformed",
        "revoked",
    )
    assert (steps["list_again"]["active"], steps["list_again"]["total_count"]) == (len(created) - 1, len(created))
    key = ledger.api_keys.get(steps["revoke"]["api_key_id"])
    assert (key.revoked, key.revocation_reason) == (True, steps["revoke"]["revocation_reason"])
    assert ledger.replay.key_as_of(key.id, datetime.fromisoformat(steps["replay"]["at"])) is not None
    before, now = steps["replay"]["before"], steps["replay"]["now"]
    assert (before["revoked"], now["revoked"]) == (False, True)
    assert before["last_used_at"] == now["last_used_at"] == steps["last_used"]["last_used_at"]
    rows = ledger.event_rows(key.id)
    assert [(event["version"], event["topic"], event["bytes"]) for event in steps["events"]["events"]] == [
        (row.version, row.topic, len(row.state)) for row in rows
    ]
    assert [row.topic for row in rows] == ["KeyCreated", "KeyUsed", "KeyRevoked", "KeyUsed"]
    trail = [(entry["event_type"], entry["details"].get("outcome")) for entry in steps["audit"]["entries"]]
    used = ("KeyUsed", "valid"), ("KeyRevoked", None), ("KeyUsed", "revoked")
    assert trail == [("KeyCreated", None), *used]
    assert told["ok"] is True


def test_a_demo_with_a_data_dir_leaves_its_ledger_there(ask: Ask, tmp_path: Path) -> None:
    folder = str(tmp_path / "kept")

    told = ask("demo", "--data-dir", folder)

    created = next(step["api_key_ids"] for step in told["steps"] if step["step"] == "create")
    assert ask("status", "--data-dir", folder)["api_keys"] == len(created)


def test_the_demo_can_be_repeated_on_one_ledger(ask: Ask, dsn: str) -> None:
    first, second = ask("demo", "--dsn", dsn), ask("demo", "--dsn", dsn)

    assert [step["step"] for step in first["steps"]] == [step["step"] for step in second["steps"]]


def test_a_surprise_ends_the_demo_with_1_and_says_what_was_expected(
    run: Run, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("keyledger.cli.demo"), "_USED_WITHIN_SECONDS", 0.0)

    result = run("demo", "--dsn", dsn, "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "expected last_used_at" in json.loads(result.stderr)["error"]["message"]


@pytest.mark.parametrize(("end", "code"), [("terminate", 143), ("close stdout", 141)])
def test_a_demo_that_is_cut_short_leaves_nothing_behind(
    start: Start, temporary: Path, end: str, code: int
) -> None:
    process = start("demo")
    assert process.stdout is not None
    process.stdout.readline()

    process.terminate() if end == "terminate" else process.stdout.close()

    assert process.wait(30) == code
    assert process.stderr is not None
    assert process.stderr.read() == b""
