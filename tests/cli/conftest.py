"""The command, in this process (`run`) and as the real program (`start`, `command`)."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cli.program_path import PROGRAM
from click.testing import CliRunner, Result

from keyledger.cli import program

TIMEOUT_SECONDS = 60


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the caller's settings, and a working directory that may be written to."""
    for name in [
        name for name in os.environ if name.startswith("KEYLEDGER_") and name != "KEYLEDGER_POSTGRES_BIN"
    ]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def here(dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """KEYLEDGER_DSN names the test's database."""
    monkeypatch.setenv("KEYLEDGER_DSN", dsn)
    return dsn


@pytest.fixture
def run(here: str) -> Callable[..., Result]:
    """Runs a command in this process, on the test's database."""

    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(program, list(arguments), input=stdin, prog_name="keyledger")

    return invoke


@pytest.fixture
def ask(run: Callable[..., Result]) -> Callable[..., Any]:
    """Runs a command that must succeed, with --json, and returns its value."""

    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Any:
        result = run(*arguments, "--json", stdin=stdin)
        assert result.exit_code == 0, result.stderr
        assert result.stderr == ""
        return json.loads(result.stdout)

    return invoke


@pytest.fixture
def created(ask: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Creates a key of org_1 and returns its object."""

    def create(name: str = "Deployments", *options: str) -> dict[str, Any]:
        return dict(ask("keys", "create", "--name", name, "--subject", "org_1", *options))

    return create


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts the real program; it is ended with the test."""
    with ExitStack() as stack:

        def popen(*arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            process: subprocess.Popen[bytes] = subprocess.Popen([PROGRAM, *arguments], **(pipes | options))
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield popen


@pytest.fixture
def command(here: str) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs the real program to its end."""

    def call(*arguments: str, stdin: str = "", **options: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            **options,
        )

    return call
