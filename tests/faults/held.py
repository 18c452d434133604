"""A ledger whose writes stay uncommitted: everything runs on one connection, in its open transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from keyledger import KeyLedger, Settings
from keyledger.domain.digest import Peppers
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database


class OneConnection:
    """Stands for a Database: runs everything on the connection that it is given."""

    timeout_seconds = 5.0

    def __init__(self, connection: DeadlineConnection) -> None:
        self._connection = connection

    def run(self, work: Callable[[DeadlineConnection], Any], *, work_seconds: float | None = None) -> Any:
        return work(self._connection)

    def close(self) -> None:
        """Nothing: whoever opened the connection closes it."""


@contextmanager
def uncommitted(dsn: str) -> Iterator[tuple[KeyLedger, psycopg.Connection]]:
    """A ledger and the connection whose transaction holds all that it writes; rolled back at the end."""
    with DeadlineConnection.connect(dsn) as connection:
        settings = Settings(flush_interval_seconds=3600.0, background_worker=False, cache_entries=0)
        database = cast("Database", OneConnection(connection))
        connection.execute("BEGIN")  # what the ledger begins is a part of this
        ledger = KeyLedger(database, Peppers({}), settings, None)
        try:
            yield ledger, connection
        finally:
            connection.rollback()
            ledger.close()
            connection.rollback()


def table_locks(dsn: str, held: psycopg.Connection) -> dict[str, set[str]]:
    """The modes of the locks that a session holds, by table of keyledger."""
    query = """
        SELECT c.relname, l.mode FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE l.pid = %s AND n.nspname = 'keyledger' AND c.relkind = 'r'
    """
    modes: dict[str, set[str]] = {}
    with psycopg.connect(dsn) as connection:
        for table, mode in connection.execute(query, [held.info.backend_pid]):
            modes.setdefault(table, set()).add(mode)
    return modes
