"""The schema's version and the migrations that raise it; the versions of the read models, and their rebuilds."""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, LiteralString

import psycopg

from keyledger.domain.errors import LedgerUnavailable, SchemaOutOfDate
from keyledger.infrastructure import read_columns
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.queries import QUERIES, load
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.rebuilding.rebuild import rebuild
from keyledger.infrastructure.rebuilding.rebuild_report import Progress, RebuildProgress

MIGRATIONS = tuple(load("keyledger.infrastructure.migrations").items())
CURRENT = len(MIGRATIONS)

STEPS: Mapping[str, Callable[[DeadlineConnection], None]] = {"0015_events_read_columns": read_columns.fill}
"""What a migration needs beside its statement, after it."""

_log = logging.getLogger("keyledger.schema")

_LOCK = 0x6B65796C65646772  # "keyledgr": the advisory lock that lets one migration run at a time
_SCHEMA = MIGRATIONS[0][0]
_MINIMUM_SERVER = 150000
_MIGRATE_SECONDS = 24 * 3600.0
_FILL_EVENTS = 10_000


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
    database.run(_check_projections)


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
    if database.run(_checked_version) == CURRENT and not database.run(_outdated):
        return []
    applied, new = database.run(_migrate, work_seconds=_MIGRATE_SECONDS)
    check_version(database)
    _rebuild(database, progress)
    if new:
        _fill(database, new, progress)
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
        new = [name for (name,) in connection.execute(QUERIES["add_projections"], _projections())]
    return [name for name, _ in pending], new


def _projections() -> dict[str, list[Any]]:
    return {"names": [model.name for model in READ_MODELS], "versions": [model.version for model in READ_MODELS]}


def _outdated(connection: DeadlineConnection) -> list[ReadModel]:
    """The read models that this database has never heard of, or of which an older version made the rows."""
    found = _versions(connection)
    return [model for model in READ_MODELS if found.get(model.name, 0) < model.version]


def _rebuild(database: Database, progress: Progress | None) -> None:
    """Rebuild the read models of an older version; another process that does so is waited for."""
    if not database.run(_outdated):
        return
    with database.apart() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK + 1,))
        outdated = database.run(_outdated)
        _log.warning("rebuilding the read models %s", ", ".join(model.name for model in outdated))
        rebuild(database, EventCodec(), outdated, progress)


def _fill(database: Database, names: Collection[str], progress: Progress | None) -> None:
    """Bring new read models to the head: who opens the ledger next finds what had happened before."""
    head = Sequencer(database).catch_up()
    runner = Runner(database, EventCodec(), READ_MODELS)
    for name in names:
        try:
            for position in (*range(_FILL_EVENTS, head, _FILL_EVENTS), head):
                runner.catch_up(position, name)
                if progress is not None:
                    progress(RebuildProgress(projection=name, position=position, head=head))
        except LedgerUnavailable as error:  # one that has stopped keeps nobody from opening the ledger
            _log.warning("%s", error)


def _versions(connection: DeadlineConnection) -> dict[str, int]:
    return {name: version for name, version, *_ in connection.execute(QUERIES["find_projections"])}


def _check_projections(connection: DeadlineConnection) -> None:
    """Raise SchemaOutOfDate unless every read model is the version that this keyledger makes."""
    found = _versions(connection)
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
