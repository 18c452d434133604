"""The tables that a rebuild fills beside the live ones, until they take their places."""

from psycopg.sql import SQL, Identifier

from keyledger.domain.errors import RebuildRefused
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.following.read_model import ReadModel, Tables
from keyledger.infrastructure.queries import QUERIES

SUFFIX = "__new"


def tables(model: ReadModel, connection: DeadlineConnection) -> Tables:
    """The tables beside the live ones, for the statements of the read model."""
    return Tables(connection, names=model.tables, suffix=SUFFIX)


def check_rights(connection: DeadlineConnection, model: ReadModel) -> None:
    """Raise RebuildRefused unless this role can replace the tables, and nothing of others goes with them."""
    row = connection.execute(QUERIES["may_rebuild"], {"tables": list(model.tables)}).fetchone()
    if row is not None:
        raise RebuildRefused(
            f"the read model {model.name!r} is rebuilt by the role that runs `keyledger migrate`: it must own"
            " the tables of the schema keyledger, and be allowed to create others there"
        )
    row = connection.execute(QUERIES["find_attached"], {"tables": list(model.tables)}).fetchone()
    if row is not None:
        raise RebuildRefused(
            f"a rebuild replaces the tables of {model.name!r}, and {row[0]} on them would be gone:"
            " drop it, and make it again afterwards"
        )


def create(connection: DeadlineConnection, model: ReadModel) -> None:
    """Make them, empty, like the live ones in all but the indexes' names; what an earlier rebuild left goes."""
    drop(connection, model)
    for table in model.tables:
        make = SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(_side(table), Identifier("keyledger", table))
        connection.execute(make)
        names = {"table": table, "side": table + SUFFIX}
        for (statement,) in connection.execute(QUERIES["side_table_statements"], names).fetchall():
            connection.execute(statement)


def drop(connection: DeadlineConnection, model: ReadModel) -> None:
    """Remove them, if they are there."""
    for table in model.tables:
        connection.execute(SQL("DROP TABLE IF EXISTS {}").format(_side(table)))


def vacuum(connection: DeadlineConnection, model: ReadModel) -> None:
    """Have the planner know them, and index-only scans trust them, from the first moment on; in no transaction."""
    for table in model.tables:
        connection.execute(SQL("VACUUM (ANALYZE) {}").format(_side(table)))


def lock_live(connection: DeadlineConnection, model: ReadModel) -> None:
    """Wait, no longer than lock_timeout, until nobody reads or writes the live tables, and keep it so."""
    for table in model.tables:
        connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier("keyledger", table)))


def switch(connection: DeadlineConnection, model: ReadModel) -> None:
    """Put them, and the names of their indexes, in the places of the live ones, which go."""
    for table in model.tables:
        indexes = connection.execute(
            QUERIES["side_index_names"], {"table": table, "side": table + SUFFIX}
        ).fetchall()
        connection.execute(SQL("DROP TABLE {}").format(Identifier("keyledger", table)))
        connection.execute(SQL("ALTER TABLE {} RENAME TO {}").format(_side(table), Identifier(table)))
        for made, name in indexes:
            rename = SQL("ALTER INDEX {} RENAME TO {}")
            connection.execute(rename.format(Identifier("keyledger", made), Identifier(name)))


def _side(table: str) -> Identifier:
    return Identifier("keyledger", table + SUFFIX)
