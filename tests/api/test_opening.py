"""Opening a ledger and closing it: where it is, whether its schema fits, and what else is said of a bad one."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support.waiting import eventually

from keyledger import (
    Actor,
    EmbeddedServerError,
    InvalidArgument,
    KeyLedger,
    LedgerClosed,
    LedgerUnavailable,
    SchemaOutOfDate,
    Settings,
)
from keyledger.infrastructure.schema import CURRENT

PASSWORD = "hunter2-hunter2"
MALFORMED_DSNS = [
    "",
    5,
    "nonsense",
    f"host=127.0.0.1 port=1 passwort={PASSWORD}",
    f"host=127.0.0.1 port=1 password=a {PASSWORD}",
    f"host=127.0.0.1 port=1 password='{PASSWORD}",
    f"postgresql://user:%{PASSWORD}@127.0.0.1:1/ledger",
    f"postgresql://user@127.0.0.1:1/ledger?password=a {PASSWORD}",
    f"postgresql://user:a@{PASSWORD}@127.0.0.1:1/ledger",
    f"host=127.0.0.1 password={PASSWORD}\0",
    f"host=127.0.0.1 password={PASSWORD}\ud800",
    b"host=127.0.0.1",
    ["host=127.0.0.1"],
]
WRONG = [
    ("host", "/nonexistent", "No such file"),
    ("dbname", "no_such_database", "no_such_database"),
    ("user", "nobody", "no password"),
    ("password", PASSWORD, "password authentication failed"),
]
CALLS: dict[str, Callable[[KeyLedger], Any]] = {
    "create": lambda ledger: ledger.api_keys.create(name="a key", subject="user_1"),
    "get": lambda ledger: ledger.api_keys.get("ak_" + "0" * 32),
    "get_all": lambda ledger: ledger.api_keys.get_all(subject="user_1"),
    "update": lambda ledger: ledger.api_keys.update("ak_" + "0" * 32, description="x"),
    "revoke": lambda ledger: ledger.api_keys.revoke("ak_" + "0" * 32),
    "status": lambda ledger: ledger.status(),
    "on_behalf_of": lambda ledger: ledger.on_behalf_of(Actor(user_id="user_1")).api_keys.get_all(),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No variable of keyledger's, and a working directory where nothing is started by mistake."""
    for variable in ("KEYLEDGER_DSN", "KEYLEDGER_DATA_DIR", "KEYLEDGER_PEPPERS"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / ".keyledger").write_text("no directory, so that no server starts here")
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_a_database_without_the_schema_is_refused_with_the_command_to_run(empty_dsn: str) -> None:
    with pytest.raises(SchemaOutOfDate, match=r"missing.*`keyledger migrate`"):
        KeyLedger.open(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT to_regnamespace('keyledger')").fetchone() == (None,)


def test_opening_migrates_when_asked_to(empty_dsn: str) -> None:
    with KeyLedger.open(empty_dsn, migrate=True) as ledger:
        key = ledger.api_keys.create(name="a key", subject="user_1")
    with KeyLedger.open(empty_dsn, migrate=True) as ledger:
        assert ledger.verify(key.secret).valid


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            f"INSERT INTO keyledger.migrations (version, name) VALUES ({CURRENT + 1}, 'of the future')",
            "newer.*upgrade",
        ),
        (
            f"DELETE FROM keyledger.migrations WHERE version = {CURRENT}",
            f"{CURRENT - 1} of {CURRENT}.*`keyledger migrate`",
        ),
    ],
    ids=["newer", "older"],
)
def test_another_versions_schema_is_refused(new_database: Callable[[], str], change: str, said: str) -> None:
    dsn = new_database()
    with psycopg.connect(dsn) as connection:
        connection.execute(change.encode())
    with pytest.raises(SchemaOutOfDate, match=said):
        KeyLedger.open(dsn)


@pytest.mark.parametrize("dsn", MALFORMED_DSNS, ids=ascii)
def test_a_malformed_dsn_is_refused_without_its_password(dsn: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        KeyLedger.open(dsn)
    assert refused.value.param == "dsn"
    assert PASSWORD not in "".join(traceback.format_exception(refused.value)) + repr(refused.value)


@pytest.mark.parametrize("data_dir", ["", 5, b"/tmp", "a\0b", "a\ud800", ["/tmp"]], ids=ascii)
def test_a_malformed_data_dir_is_refused(data_dir: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        KeyLedger.open(data_dir=data_dir)
    assert refused.value.param == "data_dir"


@pytest.mark.parametrize(
    ("param", "value", "allowed"),
    [
        ("settings", {"max_connections": 1}, "a Settings"),
        ("migrate", 1, "True or False"),
        ("migrate", None, "True or False"),
    ],
)
def test_other_malformed_arguments_of_open_are_refused(dsn: str, param: str, value: Any, allowed: str) -> None:
    with pytest.raises(InvalidArgument, match=allowed) as refused:
        KeyLedger.open(dsn, **{param: value})
    assert refused.value.param == param


def test_a_dsn_and_a_data_dir_exclude_each_other(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="not both"):
        KeyLedger.open(dsn, data_dir=tmp_path)


@pytest.mark.parametrize(("part", "value", "reason"), WRONG)
def test_a_server_that_does_not_let_us_in_is_unavailable_with_the_reason(
    dsn: str, part: str, value: str, reason: str
) -> None:
    wrong = make_conninfo(dsn, **{part: value})
    with pytest.raises(LedgerUnavailable, match=reason) as refused:
        KeyLedger.open(wrong)
    said = "PostgreSQL cannot be reached: " if part == "host" else "PostgreSQL refused the connection: "
    assert str(refused.value).startswith(said)
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    assert PASSWORD not in shown


def test_a_port_where_nothing_listens_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailable, match="refused"):
        KeyLedger.open(f"host=127.0.0.1 port=1 password={PASSWORD}")


def test_the_dsn_may_come_from_the_environment(dsn: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KEYLEDGER_DSN", dsn)
    with KeyLedger.open() as ledger:
        assert ledger.status().store.database == conninfo_to_dict(dsn)["dbname"]
        assert ledger.status().data_dir is None


def test_an_argument_wins_over_the_environment(dsn: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KEYLEDGER_DSN", "host=127.0.0.1 port=1")
    environment.setenv("KEYLEDGER_DATA_DIR", "/nonexistent/no")
    with KeyLedger.open(dsn) as ledger:
        assert ledger.status().store.schema_version == CURRENT


def test_a_data_dir_in_the_environment_is_where_the_embedded_server_starts(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    environment.setenv("KEYLEDGER_DSN", "")
    environment.setenv("KEYLEDGER_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(EmbeddedServerError, match=str(tmp_path / "file")):
        KeyLedger.open()


def test_with_nothing_said_the_embedded_server_starts_in_the_working_directory(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=str(tmp_path / ".keyledger")):
        KeyLedger.open()


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in CALLS.items()])
def test_a_closed_ledger_says_so(dsn: str, call: Callable[[KeyLedger], Any]) -> None:
    ledger = KeyLedger.open(dsn)
    key = ledger.api_keys.create(name="a key", subject="user_1")
    ledger.close()
    ledger.close()

    for forbidden in (call, lambda ledger: ledger.verify(key.secret), lambda _: key.reload()):
        with pytest.raises(LedgerClosed):
            forbidden(ledger)


def test_leaving_the_context_closes_the_ledger(dsn: str) -> None:
    with pytest.raises(ZeroDivisionError), KeyLedger.open(dsn) as ledger:
        raise ZeroDivisionError
    with pytest.raises(LedgerClosed):
        ledger.api_keys.get_all(subject="user_1")


def test_closing_one_of_two_ledgers_leaves_the_other_open(dsn: str) -> None:
    with KeyLedger.open(dsn) as first:
        with KeyLedger.open(dsn) as second:
            key = second.api_keys.create(name="a key", subject="user_1")
        assert first.verify(key.secret).valid


def test_a_failed_open_leaves_no_connection_behind(empty_dsn: str) -> None:
    with pytest.raises(SchemaOutOfDate):
        KeyLedger.open(empty_dsn, settings=Settings(max_connections=2))
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'keyledger' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(empty_dsn, autocommit=True) as connection:  # PostgreSQL ends a session after its client
        eventually(lambda: connection.execute(others).fetchone() == (0,))
