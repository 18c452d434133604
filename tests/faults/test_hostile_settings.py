"""A database whose own settings differ from what we expect: it works the same, or is refused before it matters."""

import logging
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from support.program import together
from support.waiting import eventually

from keyledger import Actor, KeyLedger, LedgerUnavailable, Settings, Use
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import parse_key_id
from keyledger.infrastructure.embedded import EmbeddedServer
from keyledger.infrastructure.schema import _LOCK

SETTINGS = {
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "datestyle": "German",
    "bytea_output": "escape",
    "default_transaction_isolation": "serializable",
    "search_path": "pg_catalog",
    "client_encoding": "SQL_ASCII",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_ledger_does_not_depend_on_the_defaults_of_the_database(
    name: str, new_database: Callable[[], str]
) -> None:
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        database = Identifier(conninfo_to_dict(dsn)["dbname"])
        connection.execute(SQL("ALTER DATABASE {} SET {} = {}").format(database, Identifier(name), SETTINGS[name]))
    with KeyLedger.open(dsn) as ledger:
        key = ledger.api_keys.create(name="Ключ 日本", subject="org_1", scopes=["a\\b"])
        assert ledger.verify(str(key.secret), use=Use(path="/a\\b'")).valid
        revoked = ledger.api_keys.create(name="other", subject="org_1")
        ledger.api_keys.revoke(revoked.id)
        assert ledger.verify(str(revoked.secret)).code == "revoked"
        ledger.api_keys.update(key.id, description="é")
        events = [row.event for row in ledger.event_rows(key.id)]
        (used,) = (event for event in events if isinstance(event, KeyUsed))
        assert [use.use.path for use in used.uses] == ["/a\\b'"]
        assert [row.topic for row in ledger.event_rows(revoked.id)] == ["KeyCreated", "KeyRevoked", "KeyUsed"]
        assert ledger.api_keys.get(key.id).created_at == key.created_at
        assert ledger.api_keys.get_all(subject="org_1", query="ключ").data[0].name == "Ключ 日本"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_refused_before_anything_is_written(
    encoding: str, server: EmbeddedServer
) -> None:
    name = f"other_{uuid4().hex}"
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE 'C'").format(Identifier(name), encoding)
        )
    with pytest.raises(LedgerUnavailable, match=f"encoding UTF8; this one is in {encoding}"):
        KeyLedger.open(make_conninfo(server.conninfo, dbname=name), migrate=True)


@pytest.mark.parametrize("command", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_statements_that_a_pooler_forgot_are_prepared_again(command: str, ledger: KeyLedger) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")
    for _ in range(5):
        assert ledger.verify(str(key.secret)).valid
    ledger._database.run(lambda connection: connection.execute(command.encode()))
    assert ledger.verify(str(key.secret)).valid


def test_a_read_only_phase_passes_when_the_database_says_so(new_database: Callable[[], str]) -> None:
    dsn = new_database()
    name = Identifier(conninfo_to_dict(dsn)["dbname"])
    with (
        KeyLedger.open(dsn, settings=Settings(database_timeout_seconds=1.0)) as ledger,
        psycopg.connect(dsn, autocommit=True) as admin,
    ):
        key = ledger.api_keys.create(name="one", subject="org_1")
        admin.execute(SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises(LedgerUnavailable, match="read-only"):
            ledger.api_keys.revoke(key.id)
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
        assert ledger.api_keys.revoke(key.id).revoked


def test_calls_that_timed_out_leave_no_sessions_behind(dsn: str) -> None:
    settings = Settings(database_timeout_seconds=0.5, max_connections=3)
    with KeyLedger.open(dsn, settings=settings) as ledger, psycopg.connect(dsn) as locker:
        key = ledger.api_keys.create(name="one", subject="org_1")
        locker.execute("LOCK TABLE keyledger.api_keys IN ACCESS EXCLUSIVE MODE")
        for _ in range(6):
            with pytest.raises(LedgerUnavailable):
                ledger.api_keys.get(key.id)
        waiting = (
            "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database"
            " WHERE datname = current_database() AND NOT granted"
        )
        eventually(lambda: locker.execute(waiting).fetchone() == (0,))  # though the table stays locked


def test_uses_of_a_key_that_is_gone_do_not_stand_in_the_way_of_others(
    ledger: KeyLedger, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    gone, kept = (ledger.api_keys.create(name=name, subject="org_1") for name in ("gone", "kept"))
    with psycopg.connect(dsn, autocommit=True) as admin:  # as a restore to an earlier moment would do
        admin.execute("SET session_replication_role = replica")
        admin.execute("DELETE FROM keyledger.events WHERE originator_id = %s", (parse_key_id(gone.id),))
    for key in (gone, kept):
        assert ledger.verify(str(key.secret)).valid
    with caplog.at_level(logging.ERROR, "keyledger.uses"):
        ledger.event_rows(kept.id)
    assert [row.topic for row in ledger.event_rows(kept.id)] == ["KeyCreated", "KeyUsed"]
    assert "uses of 1 keys are lost" in caplog.text


def test_refused_attempts_stay_bounded_while_they_cannot_be_stored(dsn: str) -> None:
    settings = Settings(flush_interval_seconds=0.02, buffer_limit_uses=50, database_timeout_seconds=5)
    with KeyLedger.open(dsn, settings=settings) as ledger, psycopg.connect(dsn, autocommit=True) as admin:
        dead, live = (ledger.api_keys.create(name=name, subject="org_1") for name in ("dead", "live"))
        ledger.api_keys.revoke(dead.id)
        admin.execute("ALTER TABLE keyledger.flushes ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
        try:
            for _ in range(300):
                assert ledger.verify(str(dead.secret)).code == "revoked"
            assert ledger.status().uses_waiting <= 2 * settings.refused_limit_per_key
            assert ledger.verify(str(live.secret)).valid
        finally:
            admin.execute("ALTER TABLE keyledger.flushes DROP CONSTRAINT full_disk")


def test_a_constraint_of_the_operators_own_is_a_typed_error_without_the_row(ledger: KeyLedger, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("ALTER TABLE keyledger.api_keys ADD CONSTRAINT no_robots CHECK (name <> 'robot')")
        try:
            with pytest.raises(LedgerUnavailable) as raised:
                ledger.api_keys.create(name="robot", subject="org_1")
            assert "Failing row" not in str(raised.value)
        finally:
            admin.execute("ALTER TABLE keyledger.api_keys DROP CONSTRAINT no_robots")


def test_two_closes_at_once_are_one(dsn: str) -> None:
    for _ in range(10):
        ledger = KeyLedger.open(dsn)
        key = ledger.api_keys.create(name="one", subject="org_1")
        assert ledger.verify(str(key.secret)).valid
        assert together([ledger.close] * 3) == [None, None, None]


def test_opening_a_current_schema_waits_for_no_migration_of_others(dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        KeyLedger.open(dsn, migrate=True).close()


def test_an_actor_of_texts_of_another_kind_is_recorded_as_plain_texts(ledger: KeyLedger) -> None:
    class SafeText(str):
        """As web frameworks mark texts."""

        __slots__ = ()

    acting = ledger.on_behalf_of(Actor(user_id=SafeText("user_1")))
    assert acting.api_keys.create(name="one").created_by == "user_1"
