"""The schema's version and the migrations that raise it."""

from typing import Any, LiteralString

import psycopg

from keyledger.domain.errors import LedgerUnavailable, SchemaOutOfDate
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES, load
from keyledger.infrastructure.read_models import READ_MODELS

MIGRATIONS = tuple(load("keyledger.infrastructure.migrations").items())
CURRENT = len(MIGRATIONS)

_LOCK = 0x6B65796C65646772  # "keyledgr": the advisory lock that lets one migration run at a time
_SCHEMA = MIGRATIONS[0][0]
_MINIMUM_SERVER = 150000
_MIGRATE_SECONDS = 3600.0


def version(connection: DeadlineConnection) -> int:
    """The number of migrations that this database has; 0 for one that knows nothing of keyledger."""
    try:
        row = connection.execute(QUERIES["schema_version"]).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return 0
    return (row and row[0]) or 0


def check(database: Database) -> None:
    """Raise SchemaOutOfDate unless the database's schema is the one that this version of keyledger knows."""
    found = database.run(_checked_version)
    if found == CURRENT:
        database.run(_check_projections)
    if found > CURRENT:
        raise SchemaOutOfDate(
            f"the database's schema is at version {found}, newer than the {CURRENT} that this keyledger knows:"
            " upgrade the package"
        )
    if found < CURRENT:
        state = f"is at version {found} of {CURRENT}" if found else "is missing"
        raise SchemaOutOfDate(f"the database's schema {state}: run `keyledger migrate`, or open with migrate=True")


def migrate(database: Database) -> list[str]:
    """Apply what is missing, in one transaction, and return the names; safe from many processes at once."""
    if database.run(_checked_version) == CURRENT and not database.run(_missing_projections):
        return []
    applied = database.run(_migrate, work_seconds=_MIGRATE_SECONDS)
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


def _migrate(connection: DeadlineConnection) -> list[str]:
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = version(connection) if _exists(connection, "to_regclass('keyledger.migrations')") else 0
        pending = MIGRATIONS[found:]
        for name, statement in pending:
            # A DBA may have made the schema for a role that may not make one.
            if name != _SCHEMA or not _exists(connection, "to_regnamespace('keyledger')"):
                connection.execute(statement.encode(), prepare=False)
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO keyledger.migrations (version, name) VALUES (%s, %s)",
                [(number, name) for number, (name, _) in enumerate(pending, start=found + 1)],
            )
        connection.execute(QUERIES["add_projections"], _projections())
    return [name for name, _ in pending]


def _projections() -> dict[str, list[Any]]:
    return {"names": [model.name for model in READ_MODELS], "versions": [model.version for model in READ_MODELS]}


def _missing_projections(connection: DeadlineConnection) -> list[str]:
    """The read models that this database has never heard of."""
    found = {name for name, *_ in connection.execute(QUERIES["find_projections"])}
    return [model.name for model in READ_MODELS if model.name not in found]


def _check_projections(connection: DeadlineConnection) -> None:
    """Raise SchemaOutOfDate unless every read model is the version that this keyledger makes."""
    found = {name: version for name, version, *_ in connection.execute(QUERIES["find_projections"])}
    for model in READ_MODELS:
        version = found.get(model.name, 0)
        if version > model.version:
            raise SchemaOutOfDate(
                f"the read model {model.name!r} is at version {version}, newer than the {model.version} that this"
                " keyledger makes: upgrade the package"
            )
        if version < model.version:
            raise SchemaOutOfDate(
                f"the read model {model.name!r} is at version {version} of {model.version}:"
                " run `keyledger migrate`, or open with migrate=True"
            )


def _exists(connection: DeadlineConnection, expression: LiteralString) -> bool:
    row = connection.execute(f"SELECT {expression} IS NOT NULL").fetchone()
    return bool(row and row[0])
