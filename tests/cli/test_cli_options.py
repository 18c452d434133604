"""The global options, and what must not stand on a command line."""

import json
from collections.abc import Callable
from importlib.metadata import version
from uuid import uuid4

import pytest
from click.testing import Result

from keyledger.domain import secret

NOWHERE = "host=127.0.0.1 port=1 dbname=nowhere"
Run = Callable[..., Result]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dsn", "{dsn}", "--json", "keys", "list", "--subject", "org_1"),
        ("keys", "--dsn", "{dsn}", "--json", "list", "--subject", "org_1"),
        ("keys", "list", "--subject", "org_1", "--dsn", "{dsn}", "--json"),
        ("--json", "keys", "list", "--dsn", "{dsn}", "--subject", "org_1"),
    ],
)
def test_global_options_are_accepted_before_and_after_the_command(
    run: Run, dsn: str, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("KEYLEDGER_DSN", NOWHERE)

    result = run(*(argument.format(dsn=dsn) for argument in arguments))

    assert json.loads(result.stdout) == {"data": [], "total_count": 0}


def test_the_later_of_two_dsns_wins(run: Run, dsn: str) -> None:
    assert run("--dsn", NOWHERE, "keys", "list", "--subject", "org_1", "--dsn", dsn).exit_code == 0
    assert run("--dsn", dsn, "keys", "list", "--subject", "org_1", "--dsn", NOWHERE).exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dsn", "x", "--data-dir", "y", "status"),
        ("--dsn", "x", "status", "--data-dir", "y"),
        ("--data-dir", "y", "keys", "--dsn", "x", "list", "--subject", "org_1"),
        ("demo", "--data-dir", "y", "--dsn", "x"),
    ],
)
def test_a_dsn_and_a_data_dir_exclude_each_other(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "--dsn and --data-dir exclude each other" in result.stderr


@pytest.mark.parametrize("option", ["--dsn", "--data-dir"])
def test_an_empty_target_is_a_mistake_and_not_the_default(run: Run, option: str) -> None:
    result = run(option, "", "status")

    assert (result.exit_code, result.stdout) == (2, "")
    assert option in result.stderr or "data_dir" in result.stderr


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout == f"keyledger {version('keyledger')}\n"


@pytest.mark.parametrize("arguments", [(), ("keys",)])
def test_no_command_shows_the_help_and_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "verify", "{secret}"),
        ("keys", "show", "{secret}"),
        ("keys", "revoke", "{secret}", "--json"),
        ("keys", "revoke", "ak_" + 32 * "0", "--reason", "leaked: {secret}."),
        ("keys", "create", "--subject", "org_1", "--name", "{secret}"),
        ("{secret}",),
        ("--dsn", "password={secret}", "status"),
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(run: Run, arguments: tuple[str, ...]) -> None:
    text = secret.generate(uuid4())

    result = run(*(argument.format(secret=text) for argument in arguments))

    assert (result.exit_code, result.stdout) == (2, "")
    assert "standard input" in result.stderr
    assert text not in result.stderr


@pytest.mark.parametrize("arguments", [("keys", "show", "ak_" + 32 * "0", "{damaged}"), ("{damaged}",)])
def test_no_message_repeats_a_damaged_secret(run: Run, arguments: tuple[str, ...]) -> None:
    damaged = secret.generate(uuid4())[:40]

    result = run(*(argument.format(damaged=damaged) for argument in arguments))

    assert result.exit_code == 2
    assert "ak_[redacted]" in result.stderr
    assert damaged[3:40] not in result.stderr


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://ann:hunter2@127.0.0.1:1/db", "host=127.0.0.1 port=1 password=hunter2", "x password='hunter2"],
)
@pytest.mark.parametrize("arguments", [("--dsn", "{dsn}", "status"), ("status", "{dsn}")])
def test_no_message_repeats_the_password_of_a_dsn(run: Run, dsn: str, arguments: tuple[str, ...]) -> None:
    result = run(*(argument.format(dsn=dsn) for argument in arguments))

    assert result.exit_code in (2, 3)
    assert "hunter2" not in result.stderr
