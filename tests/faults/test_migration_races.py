"""Many migrate one database at once, and some are killed while they do."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from faults.private_server import PrivateServer
from support.invariants import assert_consistent
from support.program import Program
from support.proxy import Proxy
from support.waiting import eventually

from keyledger import KeyLedger, LedgerUnavailable, SchemaOutOfDate, Settings
from keyledger.infrastructure import schema

OPENER = """
say("ready")
hear()
with KeyLedger.open(dsn, settings=QUICK, migrate=True) as ledger:
    key = ledger.api_keys.create(name="early", subject="org_1")
    assert ledger.verify(key.secret).valid
    say(key.id)
"""
# Each migration stops at its first index until the test lets go of the lock.
HALT = """
CREATE FUNCTION public.halt() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7);
END
$$;
CREATE EVENT TRIGGER halt ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.halt()
"""
HALTED = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event = 'advisory'
    AND query LIKE '%CREATE INDEX%' AND pid <> pg_backend_pid()
"""
HASTY = Settings(database_timeout_seconds=1.0)


def test_processes_that_open_an_empty_database_at_once_migrate_it_once(
    empty_dsn: str, start: Callable[..., Program]
) -> None:
    programs = [start(OPENER, dsn=empty_dsn) for _ in range(8)]
    assert [program.says() for program in programs] == ["ready"] * 8

    for program in programs:
        program.tell("go")

    assert len({program.says() for program in programs}) == 8
    assert [program.finish() for program in programs] == [0] * 8
    assert applied(empty_dsn) == list(range(1, schema.CURRENT + 1))
    assert_consistent(empty_dsn)


def test_an_open_without_migrate_during_a_migration_says_that_the_schema_is_missing(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as holder, ThreadPoolExecutor() as threads:
        holder.execute(HALT)
        holder.execute("SELECT pg_advisory_lock(7)")
        opened = threads.submit(KeyLedger.open, empty_dsn, migrate=True)
        eventually(lambda: holder.execute(HALTED).fetchone())
        with pytest.raises(SchemaOutOfDate):
            KeyLedger.open(empty_dsn)
        holder.execute("SELECT pg_advisory_unlock(7)")
        opened.result().close()

    KeyLedger.open(empty_dsn).close()


def test_a_migration_whose_session_is_ended_in_the_middle_begins_again(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as holder, ThreadPoolExecutor() as threads:
        holder.execute(HALT)
        holder.execute("SELECT pg_advisory_lock(7)")
        opened = threads.submit(KeyLedger.open, empty_dsn, migrate=True)
        eventually(lambda: holder.execute(HALTED).fetchone())
        holder.execute(f"SELECT pg_terminate_backend(pid) FROM ({HALTED}) AS halted".encode())
        holder.execute("SELECT pg_advisory_unlock(7)")
        opened.result().close()

    assert applied(empty_dsn) == list(range(1, schema.CURRENT + 1))


def test_a_migration_killed_in_the_middle_with_its_server_leaves_nothing_and_can_be_done_again(
    private_server: PrivateServer, start: Callable[..., Program]
) -> None:
    dsn = private_server.new_dsn(migrated=False)
    holder = psycopg.connect(dsn, autocommit=True)
    holder.execute(HALT)
    holder.execute("SELECT pg_advisory_lock(7)")
    program = start(OPENER, dsn=dsn)
    assert program.says() == "ready"
    program.tell("go")
    eventually(lambda: holder.execute(HALTED).fetchone())
    (backend,) = holder.execute(HALTED).fetchone() or (0,)
    program.kill()
    os.kill(backend, signal.SIGKILL)  # the postmaster ends every session and recovers
    eventually(lambda: applied(dsn) == [])
    holder.close()

    with pytest.raises(SchemaOutOfDate):
        KeyLedger.open(dsn)
    KeyLedger.open(dsn, migrate=True).close()
    assert applied(dsn) == list(range(1, schema.CURRENT + 1))


def test_a_migration_whose_server_goes_away_is_unavailable_in_time(empty_dsn: str) -> None:
    proxy = Proxy(empty_dsn)
    with psycopg.connect(empty_dsn, autocommit=True) as holder, ThreadPoolExecutor() as threads:
        holder.execute(HALT)
        holder.execute("SELECT pg_advisory_lock(7)")
        opened = threads.submit(KeyLedger.open, proxy.dsn, migrate=True, settings=HASTY)
        eventually(lambda: holder.execute(HALTED).fetchone())
        proxy.refuse()
        try:
            with pytest.raises(LedgerUnavailable):
                opened.result(timeout=20)
        finally:
            proxy.refuse(False)
            holder.execute("SELECT pg_advisory_unlock(7)")
    proxy.close()


def test_ledgers_that_are_open_work_on_while_others_open_with_migrate(
    dsn: str, start: Callable[..., Program]
) -> None:
    with KeyLedger.open(dsn) as first, KeyLedger.open(dsn) as second:
        programs = [start(OPENER, dsn=dsn) for _ in range(3)]
        assert [program.says() for program in programs] == ["ready"] * 3
        for program in programs:
            program.tell("go")
        for _ in range(20):
            key = first.api_keys.create(name="meanwhile", subject="org_2")
            assert second.verify(str(key.secret)).valid
        assert all(program.says() for program in programs)
    assert_consistent(dsn)


def applied(dsn: str) -> list[int]:
    """The migrations that a database has, [] when it knows nothing of keyledger, [-1] with no server."""
    try:
        with psycopg.connect(dsn) as connection:
            rows = connection.execute("SELECT version FROM keyledger.migrations ORDER BY version").fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    except psycopg.OperationalError:
        return [-1]
    return [version for (version,) in rows]
