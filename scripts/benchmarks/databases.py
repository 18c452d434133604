"""Databases of a benchmark's own, beside the one that all share."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from keyledger.infrastructure import schema
from keyledger.infrastructure.database import Database


@contextmanager
def new_database(dsn: str, *, like: str | None = None, migrated: bool = True) -> Iterator[str]:
    """A database on the same server, gone afterwards: a copy of the one of DSN `like`, or a new one."""
    name = f"benchmark_{uuid4().hex}"
    template = conninfo_to_dict(like)["dbname"] if like else "template1"
    create = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(str(template)))
    _execute(dsn, create)
    try:
        own = make_conninfo(dsn, dbname=name)
        if migrated and not like:
            database = Database(own)
            schema.migrate(database)
            database.close()
        yield own
    finally:
        _execute(dsn, SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _execute(dsn: str, statement: SQL) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)
