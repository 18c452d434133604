"""The digest of a read model's rows: equal where they are, byte for byte."""

from collections.abc import Sequence
from hashlib import sha256

from psycopg.sql import SQL, Identifier

from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.queries import QUERIES


def rows_digest(connection: DeadlineConnection, tables: Sequence[str], *, suffix: str = "") -> str:
    """The SHA-256 of all rows in the order of their primary keys, read as a stream of PostgreSQL's own bytes.

    The form, and the order of texts, are the server's: digests of different servers may differ.
    """
    found = sha256()
    for table in tables:
        columns = SQL(", ").join(map(Identifier, primary_key(connection, table)))
        statement = SQL("COPY (SELECT * FROM {} ORDER BY {}) TO STDOUT (FORMAT binary)").format(
            Identifier("keyledger", table + suffix), columns
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for piece in copy:
                found.update(piece)
    return found.hexdigest()


def primary_key(connection: DeadlineConnection, table: str) -> list[str]:
    """The columns of a table's primary key, in their order."""
    return [name for (name,) in connection.execute(QUERIES["primary_key"], {"table": table})]
