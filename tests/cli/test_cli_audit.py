"""`audit history` and `audit export`."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli.terminal import Terminal
from click.testing import Result

from keyledger import Actor, APIKey, KeyLedger, Use
from keyledger.cli.entries import what_text
from keyledger.cli.output import json_text
from keyledger.domain import secret
from keyledger.domain.events import EVENTS
from keyledger.domain.ids import new_uuid
from keyledger.infrastructure.codec import EventCodec
from keyledger.projections.history_entry import RecordedEvent, entries, moments

Run = Callable[..., Result]
Ask = Callable[..., Any]

GOLDEN = Path(__file__).parents[1] / "infrastructure" / "golden"
HISTORY, EXPORT = ("audit", "history"), ("audit", "export")
CREDENTIAL = "ak_01a208f6d6287113baedf4f2bbe2bd48"
ACTOR = Actor(
    user_id="user_1",
    organization_id="org_1",
    ip_address="198.51.100.1",
    request_id="req_1",
    credential_id=CREDENTIAL,
)


@pytest.fixture
def key(ledger: KeyLedger) -> APIKey:
    """A key that was created and revoked by an actor, used twice between, and a key that was only created."""
    acting = ledger.on_behalf_of(ACTOR)
    key = acting.api_keys.create(name="Deployments", scopes=["deploy"])
    ledger.api_keys.create(name="Another", subject="org_2")
    for path in ("/one", "/two"):
        ledger.verify(key.secret, use=Use(path=path, method="GET", ip_address="203.0.113.7", request_id="req_2"))
    ledger.audit.history(fresh=True)
    acting.api_keys.revoke(key.id, revocation_reason="leaked")
    return key


def lines(result: Result) -> list[dict[str, Any]]:
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_history_is_one_line_an_entry_for_people(run: Run, key: APIKey) -> None:
    result = run(*HISTORY, "--key", key.id)

    rows = [line for line in result.stdout.splitlines() if key.id in line]
    assert [row.split()[2] for row in rows] == ["KeyRevoked", "KeyUsed", "KeyUsed", "KeyCreated"]
    assert f"user_1 of org_1 with credential {CREDENTIAL} from 198.51.100.1 request req_1" in rows[0]
    assert "reason: leaked" in rows[0]
    assert "valid, GET /two, from 203.0.113.7, request req_2" in rows[1]
    assert "'Deployments', scopes deploy, expires never" in rows[3]
    assert "4 entries\n" in result.stdout


def test_an_update_is_told_in_the_words_of_a_creation(run: Run, ledger: KeyLedger) -> None:
    key = ledger.api_keys.create(name="Deployments", subject="org_1")
    ledger.api_keys.update(key.id, scopes=["deploy", "rollback"], description="new", seconds_until_expiration=None)
    ledger.api_keys.update(key.id, scopes=None, seconds_until_expiration=60)

    shown = run(*HISTORY, "--key", key.id, "--type", "KeyUpdated").stdout

    assert "scopes deploy, rollback" in shown
    assert "description 'new'" in shown
    assert "scopes —; expires 20" in shown
    assert "[" not in shown


def test_a_service_that_acted_is_named_by_its_credential(run: Run, ledger: KeyLedger) -> None:
    credential = "ak_" + 32 * "1"
    ledger.on_behalf_of(Actor(credential_id=credential)).api_keys.create(name="Deployments", subject="org_1")

    assert f"credential {credential}" in run(*HISTORY, "--subject", "org_1").stdout


def test_a_wrong_cursor_is_told_without_pythons_words(run: Run) -> None:
    result = run(*HISTORY, "--cursor", "nonsense")

    assert result.exit_code == 2
    assert "--cursor: a cursor that the history gave for the same filters and order\n" in result.stderr


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_a_terminal_of_any_width_shows_all_of_an_entry(here: str, key: APIKey, columns: int) -> None:
    with Terminal(*HISTORY, "--key", key.id, columns=columns) as terminal:
        assert terminal.end() == 0

    assert terminal.text.count(key.id) == 4
    assert max(map(len, terminal.text.splitlines())) <= max(columns, 76)
    assert (terminal.text.count("KeyUsed"), terminal.text.count("leaked")) == (2, 1)
    assert "…" not in terminal.text


def test_the_history_is_one_json_value_for_programs(ask: Ask, key: APIKey, ledger: KeyLedger) -> None:
    told = ask(*HISTORY, "--key", key.id)

    entries = ledger.audit.history(api_key_id=key.id).entries
    assert [(each["position"], each["index"]) for each in told["entries"]] == [
        (each.position, each.index) for each in entries
    ]
    assert told["entries"][0]["actor"]["user_id"] == "user_1"
    assert told["entries"][1]["details"]["outcome"] == "valid"
    assert told["entries"][1]["occurred_at"].endswith("Z")
    assert (told["next_cursor"], told["end_cursor"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--subject", "org_2"), ["KeyCreated"]),
        (("--user", "user_1"), ["KeyRevoked", "KeyCreated"]),
        (("--organization", "org_1", "--type", "KeyCreated"), ["KeyCreated"]),
        (("--address", "198.51.100.1", "--request", "req_1"), ["KeyRevoked", "KeyCreated"]),
        (("--address", "203.0.113.7"), []),
        (("--credential", CREDENTIAL), ["KeyRevoked", "KeyCreated"]),
        (("--credential", CREDENTIAL, "--user", "user_1", "--type", "KeyRevoked"), ["KeyRevoked"]),
        (("--credential", "ak_" + "0" * 32), []),
        (("--type", "KeyUsed", "--type", "KeyRevoked"), ["KeyRevoked", "KeyUsed", "KeyUsed"]),
        (("--ascending",), ["KeyCreated", "KeyCreated", "KeyUsed", "KeyUsed", "KeyRevoked"]),
        (("--since", "1h", "--type", "KeyRevoked"), ["KeyRevoked"]),
        (("--until", "1h"), []),
        (("--until", "2001-01-01T00:00:00+01:00"), []),
        (("--since", "2001-01-01T00Z", "--limit", "1"), ["KeyRevoked"]),
    ],
)
def test_options_leave_what_matches_them(
    ask: Ask, key: APIKey, options: tuple[str, ...], expected: list[str]
) -> None:
    assert [entry["event_type"] for entry in ask(*HISTORY, *options)["entries"]] == expected


def test_an_export_has_the_filters_of_the_history(run: Run, key: APIKey) -> None:
    for options in (("--user", "user_1", "--since", "1h"), ("--credential", CREDENTIAL)):
        created, revoked = lines(run(*EXPORT, *options))

        assert (created["event_type"], revoked["event_type"]) == ("KeyCreated", "KeyRevoked")


def test_pages_are_continued_with_the_cursor_that_is_shown(run: Run, ask: Ask, key: APIKey) -> None:
    options = ("--page-size", "2", "--since", (datetime.now(UTC) - timedelta(hours=1)).isoformat())
    first = ask(*HISTORY, *options)
    shown = run(*HISTORY, *options).stdout.split()

    second = ask(*HISTORY, *options, "--cursor", first["next_cursor"])
    third = ask(*HISTORY, *options, "--cursor", second["next_cursor"])

    assert shown[-2:] == ["--cursor", first["next_cursor"]]
    assert [len(page["entries"]) for page in (first, second, third)] == [2, 2, 1]
    assert third["next_cursor"] is None


def test_a_time_that_is_so_long_ago_is_told_as_a_moment_for_the_next_page(run: Run, ask: Ask, key: APIKey) -> None:
    shown = run(*HISTORY, "--limit", "1", "--since", "2h").stdout.split()

    again = shown[shown.index("--since") :]
    assert len(ask(*HISTORY, *again, "--limit", "1000")["entries"]) == 4


def test_an_export_is_a_json_object_a_line_oldest_first(run: Run, ask: Ask, key: APIKey) -> None:
    whole = ask(*HISTORY, "--ascending")["entries"]

    assert lines(run(*EXPORT)) == lines(run(*EXPORT, "--json")) == whole


def test_an_export_to_a_file_replaces_it_and_is_its_owner_s_alone(run: Run, key: APIKey, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("an older one")

    told = run(*EXPORT, "--output", str(path))
    quiet = run(*EXPORT, "--output", str(path), "--json")

    assert (told.exit_code, told.stdout) == (0, "")
    assert f"5 entries written to {path}" in told.stderr
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert path.read_text() == run(*EXPORT).stdout
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["history.jsonl"]


def test_an_export_that_fails_leaves_the_older_file_and_nothing_else(
    run: Run, key: APIKey, ledger: KeyLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("an older one")
    monkeypatch.setattr("keyledger.cli.export.json_text", lambda _: 1 / 0)

    assert run(*EXPORT, "--output", str(path)).exit_code == 3
    assert [each.read_text() for each in tmp_path.iterdir()] == ["an older one"]


@pytest.mark.parametrize(
    ("output", "code"), [("missing/history.jsonl", 3), ("/dev/full", 3), ("n" * 300, 3), (".", 2), ("", 2)]
)
def test_an_output_that_cannot_be_written_is_named(run: Run, key: APIKey, output: str, code: int) -> None:
    result = run(*EXPORT, "--output", output)

    assert result.exit_code == code
    expected = f"keyledger: {output} cannot be written: " if code == 3 else "'--output': "
    assert expected in result.stderr


def test_a_dash_stands_for_stdout(run: Run, key: APIKey) -> None:
    assert lines(run(*EXPORT, "--output", "-")) == lines(run(*EXPORT))


def test_an_export_goes_into_a_pipe_that_has_a_name(
    start: Callable[..., Any], here: str, key: APIKey, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    process = start(*EXPORT, "--output", str(pipe), "--json")
    found = pipe.read_text()

    assert process.wait(30) == 0
    assert len(found.splitlines()) == 5
    assert pipe.is_fifo()


def test_progress_is_shown_on_a_terminal_unless_the_lines_go_there(here: str, key: APIKey, tmp_path: Path) -> None:
    with Terminal(*EXPORT, "--output", str(tmp_path / "a.jsonl"), columns=120) as to_file:
        assert to_file.end() == 0
    with Terminal(*EXPORT, "--output", str(tmp_path / "b.jsonl"), "--json") as quiet:
        assert quiet.end() == 0
    with Terminal(*EXPORT) as to_terminal:
        assert to_terminal.end() == 0

    assert "5 of 5 positions" not in to_terminal.text
    assert "4 of 4 positions" in to_file.text
    assert "5 entries" in to_file.text
    assert quiet.text == ""
    assert [json.loads(line)["event_type"] for line in to_terminal.text.splitlines()][-1] == "KeyRevoked"


@pytest.mark.parametrize("topic", [event.topic for event in EVENTS])
def test_every_event_type_there_is_can_be_read_by_people_and_by_programs(topic: str) -> None:
    event = EventCodec().decode(topic, bytes.fromhex(next(GOLDEN.glob(f"{topic}.*.hex")).read_text()))
    recorded = RecordedEvent(
        position=1,
        originator_id=new_uuid(),
        subject="org_1",
        revoked=False,
        recorded_at=event.occurred_at,
        event=event,
    )

    for entry in entries(recorded, range(len(moments(event)))):
        assert what_text(entry)
        assert json.loads(json_text(entry.as_dict()))["event_type"] == topic


def test_an_empty_history_is_told_as_such(run: Run, ask: Ask) -> None:
    assert run(*HISTORY).stdout == "0 entries\n"
    assert ask(*HISTORY) == {"entries": [], "next_cursor": None, "end_cursor": None}
    assert run(*EXPORT).stdout == ""


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--key", "ak_1"), "--key: a key's id is"),
        (("--user", ""), "--user: a text of 1"),
        (("--organization", ""), "--organization: a text of 1"),
        (("--address", ""), "--address: a text of 1"),
        (("--request", ""), "--request: a text of 1"),
        (("--credential", ""), "--credential: the id of a credential's key"),
        (("--credential", "sk_live"), "--credential: the id of a credential's key"),
        (("--subject", ""), "--subject: a text of 1"),
        (("--page-size", "0"), "--page-size"),
        (("--page-size", "1001"), "1000"),
        (("--cursor", "x"), "--cursor"),
        (("--type", "KeyLost"), "KeyRevoked"),
        (("--since", "yesterday"), "--since"),
        (("--since", "2026-11-23T12:00"), "zone"),
        (("--until", "0h"), "--until"),
        (("--since", "9" * 400 + "w"), "--since"),
        (("--since", "1h", "--until", "2h"), "not before"),
    ],
)
def test_wrong_options_are_wrong_usage(run: Run, options: tuple[str, ...], named: str) -> None:
    result = run(*HISTORY, *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr


def test_what_an_entry_says_cannot_steer_a_terminal_and_holds_no_secret(run: Run, ledger: KeyLedger) -> None:
    key = ledger.api_keys.create(name="a\x1b[2Jb", subject="org_1\x07.")
    ledger.verify(key.secret, use=Use(path=f"/\x1b]0;x\x07{key.secret}"))
    ledger.audit.history(fresh=True)

    shown, exported = run(*HISTORY), run(*EXPORT)

    for text in (shown.stdout, exported.stdout):
        assert all(line.isprintable() for line in text.splitlines())
        assert not secret.occurs_in(text)
        assert "ak_[redacted]" in text
