"""Migrations: ordered, applied once, each file one statement that says what it is for."""

from collections.abc import Iterator

import pytest

from keyledger.domain.errors import SchemaOutOfDate
from keyledger.infrastructure import schema
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES


@pytest.fixture
def empty(empty_dsn: str) -> Iterator[Database]:
    database = Database(empty_dsn)
    yield database
    database.close()


def names(database: Database) -> list[str]:
    query = "SELECT name FROM keyledger.migrations ORDER BY version"
    return [name for (name,) in database.run(lambda connection: connection.execute(query).fetchall())]


def test_a_first_migration_applies_every_file_in_order(empty: Database) -> None:
    assert schema.migrate(empty) == [name for name, _ in schema.MIGRATIONS] == names(empty)


def test_a_second_migration_has_nothing_to_do(empty: Database) -> None:
    schema.migrate(empty)
    assert schema.migrate(empty) == []


def test_an_interrupted_history_is_taken_up_where_it_ended(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = schema.MIGRATIONS
    done = len(everything) - 1
    monkeypatch.setattr(schema, "MIGRATIONS", everything[:done])
    monkeypatch.setattr(schema, "CURRENT", done)
    schema.migrate(empty)
    monkeypatch.setattr(schema, "MIGRATIONS", everything)
    monkeypatch.setattr(schema, "CURRENT", len(everything))
    with pytest.raises(SchemaOutOfDate, match=f"version {done} of {len(everything)}: run `keyledger migrate`"):
        schema.check(empty)
    assert schema.migrate(empty) == [name for name, _ in everything[done:]]


def test_a_missing_schema_names_the_command(empty: Database) -> None:
    with pytest.raises(SchemaOutOfDate, match="is missing: run `keyledger migrate`"):
        schema.check(empty)


def test_a_schema_from_the_future_is_refused(empty: Database) -> None:
    schema.migrate(empty)
    empty.run(lambda connection: connection.execute("INSERT INTO keyledger.migrations VALUES (999, 'later')"))
    with pytest.raises(SchemaOutOfDate, match="version 999, newer than"):
        schema.check(empty)


def test_a_schema_that_a_dba_made_beforehand_is_used(empty: Database) -> None:
    empty.run(lambda connection: connection.execute("CREATE SCHEMA keyledger"))
    schema.migrate(empty)
    schema.check(empty)


def test_a_role_may_migrate_without_the_right_to_make_schemas(empty: Database, empty_dsn: str) -> None:
    role = empty_dsn.split("dbname=")[1].split()[0].strip("'")
    empty.run(lambda connection: connection.execute(f"CREATE ROLE {role} LOGIN"))
    empty.run(lambda connection: connection.execute(f"CREATE SCHEMA keyledger AUTHORIZATION {role}"))
    limited = Database(f"{empty_dsn} options='-c role={role}'")
    try:
        assert len(schema.migrate(limited)) == schema.CURRENT
    finally:
        limited.close()
        empty.run(lambda connection: connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}"))


@pytest.mark.parametrize("statement", [*dict(schema.MIGRATIONS).values(), *QUERIES.values()])
def test_each_sql_file_is_one_statement_that_begins_by_saying_what_for(statement: str) -> None:
    assert statement.startswith("-- ")
    assert not statement.rstrip().endswith(";")


def test_the_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [int(name[:4]) for name, _ in schema.MIGRATIONS] == list(range(1, schema.CURRENT + 1))
