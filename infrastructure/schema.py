"""The schema's version, and the migrations that raise it."""

from collections.abc import Callable, Mapping
from typing import LiteralString

import psycopg

from keyledger.domain.errors import LedgerUnavailable, SchemaOutOfDate
from keyledger.infrastructure import read_model_versions
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.migrations import read_columns
from keyledger.infrastructure.queries import QUERIES, load
from keyledger.infrastructure.rebuilding.rebuild_report import Progress

MIGRATIONS = tuple(load("keyledger.infrastructure.migrations").items())
CURRENT = len(MIGRATIONS)

STEPS: Mapping[str, Callable[[DeadlineConnection], None]] = {"0015_events_read_columns": read_columns.fill}
"""What a migration needs beside its statement, after it."""

_LOCK = 0x6B65796C65646772  # "keyledgr": the advisory lock that lets one migration run at a time
_SCHEMA = MIGRATIONS[0][0]
_MINIMUM_SERVER = 150000
_MIGRATE_SECONDS = 24 * 3600.0


def version(connection: DeadlineConnection) -> int:
    """The number of migrations that this database has; 0 for one that knows nothing of keyledger."""
    try:
        row = connection.execute(QUERIES["schema_version"]).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return 0
    return (row and row[0]) or 0


def check(database: Database) -> None:
    """Raise SchemaOutOfDate unless the database's schema is the one that this version of keyledger knows."""
    check_version(database)
    database.run(read_model_versions.check)


def check_version(database: Database) -> None:
    """The same without a look at the versions of the read models."""
    found = database.run(_checked_version)
    if found > CURRENT:
        raise SchemaOutOfDate(
            f"the database's schema is at version {found}, newer than the {CURRENT} that this keyledger knows:"
            " upgrade the package"
        )
    if found < CURRENT:
        state = f"is at version {found} of {CURRENT}" if found else "is missing"
        raise SchemaOutOfDate(f"the database's schema {state}: run `keyledger migrate`, or open with migrate=True")


def migrate(database: Database, progress: Progress | None = None) -> list[str]:
    """Apply what is missing, in one transaction, and return the names; safe from many processes at once.

    Read models that are new are filled, and those of an older version rebuilt.
    """
    if database.run(_checked_version) == CURRENT and not database.run(read_model_versions.outdated):
        return []
    applied, new = database.run(_migrate, work_seconds=_MIGRATE_SECONDS)
    check_version(database)
    read_model_versions.rebuild_outdated(database, progress)
    if new:
        read_model_versions.fill(database, new, progress)
    check(database)
    return applied


def _checked_version(connection: DeadlineConnection) -> int:
    if connection.info.server_version < _MINIMUM_SERVER:
        server = connection.info.parameter_status("server_version")
        raise LedgerUnavailable(f"keyledger needs PostgreSQL 15 or newer; this server is {server}")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise LedgerUnavailable(f"keyledger needs a database in the encoding UTF8; this one is in {encoding}")
    return version(connection)


def _migrate(connection: DeadlineConnection) -> tuple[list[str], list[str]]:
    """The names of the migrations that were applied, and of the read models that are new."""
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = version(connection) if _exists(connection, "to_regclass('keyledger.migrations')") else 0
        pending = MIGRATIONS[found:]
        for name, statement in pending:
            # A DBA may have made the schema for a role that may not make one.
            if name != _SCHEMA or not _exists(connection, "to_regnamespace('keyledger')"):
                connection.execute(statement.encode(), prepare=False)
            if name in STEPS and found:
                STEPS[name](connection)
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO keyledger.migrations (version, name) VALUES (%s, %s)",
                [(number, name) for number, (name, _) in enumerate(pending, start=found + 1)],
            )
        new = read_model_versions.add(connection)
    return [name for name, _ in pending], new


def _exists(connection: DeadlineConnection, expression: LiteralString) -> bool:
    row = connection.execute(f"SELECT {expression} IS NOT NULL").fetchone()
    return bool(row and row[0])
