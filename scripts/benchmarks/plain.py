"""What keyledger is measured against: the same facts in one plain table, written with bare psycopg."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID, uuid4

import psycopg

CREATE = """
CREATE TABLE plain (
    id uuid PRIMARY KEY, name text NOT NULL, subject text NOT NULL, description text, scopes text,
    revocation_reason text, digest bytea NOT NULL
)
"""
INSERT = "INSERT INTO plain (id, name, subject, description, scopes, digest) VALUES (%s, %s, %s, %s, %s, %s)"
UPDATE = "UPDATE plain SET revocation_reason = %s WHERE id = %s"
SELECT = "SELECT id, name, subject, description, scopes, revocation_reason, digest FROM plain WHERE id = %s"


class Plain:
    """One caller's connection in autocommit mode; every statement is prepared."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)

    def insert(self) -> UUID:
        """Commit one row."""
        row_id = uuid4()
        values = (row_id, "benchmark", "org_benchmark", "a description", "read write", secrets.token_bytes(32))
        self._connection.execute(INSERT, values, prepare=True)
        return row_id

    def update(self, row_id: UUID) -> None:
        """Commit a change of one row."""
        self._connection.execute(UPDATE, ("no longer needed", row_id), prepare=True)

    def select(self, row_id: UUID) -> object:
        """Read one row by its primary key."""
        return self._connection.execute(SELECT, (row_id,), prepare=True).fetchone()

    def insert_many(self, count: int) -> list[UUID]:
        """Commit many rows at once, for what follows."""
        with self._connection.transaction():
            return [self.insert() for _ in range(count)]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def create_table(dsn: str) -> None:
    """Make the table."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(CREATE)


@contextmanager
def callers(dsn: str, count: int) -> Iterator[list[Plain]]:
    """So many callers, each with a connection of its own."""
    with ExitStack() as stack:
        found = [Plain(dsn) for _ in range(count)]
        for plain in found:
            stack.callback(plain.close)
        yield found
