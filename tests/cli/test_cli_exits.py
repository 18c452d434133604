"""The real program: exit codes, and what stands on stdout and stderr."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyledger import InvalidArgument, KeyLedger, KeyRevokedError, LedgerUnavailable, credentials
from keyledger.cli.failures import report
from keyledger.domain import secret
from keyledger.domain.ids import new_uuid

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

LIST = ("keys", "list", "--subject", "org_1")
KEY = ("keys", "create", "--name", "Deployments", "--subject", "org_1")
CREDENTIAL = ("credentials", "create", "--name", "Billing", "--scopes", "keys:read")
NOWHERE = "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=2"


def test_success_is_0_with_nothing_on_stderr(command: Command) -> None:
    done = command(*LIST, "--json")

    assert (done.returncode, done.stdout, done.stderr) == (0, '{"data": [], "total_count": 0}\n', "")


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("keys", "show", "ak_" + 32 * "0"), 1, "KeyNotFound"),
        (("keys", "show", "ak_"), 2, "MalformedKeyId"),
        (("keys", "bogus"), 2, "UsageError"),
        (("--dsn", NOWHERE, "status"), 3, "LedgerUnavailable"),
        (("--data-dir", "{file}", "status"), 3, "EmbeddedServerError"),
    ],
)
def test_a_failure_is_one_line_on_stderr_and_nothing_on_stdout(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], code: int, kind: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    arguments = tuple(argument.format(file=file) for argument in arguments)

    plain = command(*arguments)
    as_json = command(*arguments, "--json")

    assert (plain.returncode, plain.stdout) == (code, "")
    assert plain.stderr.startswith("keyledger: ")
    assert "Traceback" not in plain.stderr
    assert (as_json.returncode, as_json.stdout, as_json.stderr.count("\n")) == (code, "", 1)
    assert json.loads(as_json.stderr)["error"]["type"] == kind


def test_a_missing_schema_is_3_and_names_the_command(command: Command, empty_dsn: str) -> None:
    done = command("--dsn", empty_dsn, *LIST)

    assert (done.returncode, done.stdout) == (3, "")
    assert "keyledger migrate" in done.stderr


def test_a_verification_without_a_server_is_3_and_never_an_answer(command: Command) -> None:
    done = command("--dsn", NOWHERE, "keys", "verify", stdin=secret.generate(new_uuid()))

    assert (done.returncode, done.stdout) == (3, "")


def test_a_reader_that_has_gone_is_met_with_silence(start: Start, here: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*LIST, stdout=writing)
    os.close(writing)

    _, stderr = process.communicate()

    assert (process.returncode, stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [LIST, (*LIST, "--json"), ("--help",)])
def test_output_that_cannot_be_written_is_an_error(start: Start, here: str, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(*arguments, stdout=full)
        _, stderr = process.communicate()

    assert process.returncode == 3
    assert b"No space left" in stderr
    assert b"Traceback" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("creating", "subject", "code"),
    [
        (KEY, "org_1", 3),
        ((*KEY, "--json"), "org_1", 141),
        (CREDENTIAL, credentials.SUBJECT, 141),
        ((*CREDENTIAL, "--json"), credentials.SUBJECT, 3),
    ],
    ids=["a key, full", "a key, nobody reads", "a credential, nobody reads", "a credential, full"],
)
def test_a_secret_that_does_not_arrive_leaves_the_id_to_revoke(
    start: Start, here: str, ledger: KeyLedger, creating: tuple[str, ...], subject: str, code: int
) -> None:
    if code == 3:
        writing = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, writing = os.pipe()
        os.close(reading)
    process = start(*creating, stdout=writing)
    os.close(writing)

    _, stderr = process.communicate()

    (key,) = ledger.api_keys.get_all(subject=subject).data
    message = json.loads(stderr)["error"]["message"] if "--json" in creating else stderr.decode()
    assert process.returncode == code
    assert f"{key.id} was created and its secret is lost" in message
    assert len(stderr.splitlines()) == 1


def test_an_interrupt_is_130_and_quiet(start: Start, here: str) -> None:
    process = start("demo")
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()

    assert (process.returncode, stderr.strip()) == (130, b"")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyRevokedError("revoked"), 1),
        (InvalidArgument("name", "a text"), 2),
        (LedgerUnavailable("away"), 3),
        (RuntimeError("a defect"), 3),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    assert report(error, as_json=False) == code
    assert capsys.readouterr().err.startswith("keyledger: ")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_defect_shows_no_secret_and_steers_no_terminal(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    text = secret.generate(new_uuid())

    report(RuntimeError(f"{text} \x1b[31m postgresql://u:hunter2@h/db"), as_json=as_json)

    shown: Any = capsys.readouterr()
    assert shown.out == ""
    assert not [private for private in (text, "hunter2", "\x1b") if private in shown.err]
