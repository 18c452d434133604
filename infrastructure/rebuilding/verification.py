"""Verifying read models: derived once more from the events, in tables of the session, and compared row by row.

The fold is done batch by batch. The last of it and the comparison are one transaction of one snapshot, in which
the live tables stand still, while writers, the runner and readers go on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from psycopg.sql import SQL, Composed, Identifier

from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.read_model import ReadModel, Tables
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.rebuilding.live import between, live, waiting
from keyledger.infrastructure.rebuilding.rebuild_report import Progress, RebuildProgress
from keyledger.infrastructure.rebuilding.rows_digest import primary_key

_PRIVATE = ("digest",)
_NOT_SHOWN = "(not shown)"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is not what the events make it.

    key: the row's primary key, by column. column: the first one that differs, with what the events make of it and
    what was found; None where a whole row is missing (`found` is None) or too many (`expected` is None).
    """

    table: str
    key: dict[str, Any]
    column: str | None
    expected: Any
    found: Any


class VerifiedProjection(msgspec.Struct, frozen=True, kw_only=True):
    """A read model that was compared with the events up to `position`.

    rows: how many there are; differing: how many of them are not right, missing ones counted in; difference: the
    first of those, in the order of tables and primary keys.
    """

    name: str
    version: int
    position: int
    rows: int
    differing: int
    difference: Difference | None


class VerificationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The read models that were compared; `ok` where every row is what the events make it."""

    projections: tuple[VerifiedProjection, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not any(each.differing for each in self.projections)


def verify(
    database: Database, codec: EventCodec, models: Sequence[ReadModel], progress: Progress | None = None
) -> VerificationReport:
    """Compare each of these read models with the events. Raises LedgerUnavailable, UnreadableEvent."""
    Sequencer(database).catch_up()
    return VerificationReport(projections=tuple(_verified(database, codec, model, progress) for model in models))


def _verified(
    database: Database, codec: EventCodec, model: ReadModel, progress: Progress | None
) -> VerifiedProjection:
    with database.apart() as connection:
        derived = _Derived(connection, codec, model, progress)
        derived.make_tables()
        derived.fold()
        with _snapshot(connection, model):
            derived.complete()
            return derived.compared()


@contextmanager
def _snapshot(connection: DeadlineConnection, model: ReadModel) -> Iterator[None]:
    """A snapshot that is taken after the locks: so the tables cannot be replaced in between, and look empty."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table in model.tables:
            connection.execute(SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(Identifier("keyledger", table)))
        yield


class _Derived:
    """A read model's rows in temporary tables of a connection's session."""

    def __init__(
        self, connection: DeadlineConnection, codec: EventCodec, model: ReadModel, progress: Progress | None
    ) -> None:
        self._connection = connection
        self._codec = codec
        self._model = model
        self._progress = progress
        self._tables = Tables(connection, names=model.tables, schema="pg_temp")
        self._position = 0
        self._state: bytes | None = None

    def make_tables(self) -> None:
        """Empty tables, like the live ones."""
        for table in self._model.tables:
            make = SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING ALL)")
            self._connection.execute(make.format(Identifier(table), Identifier("keyledger", table)))

    def fold(self) -> None:
        """Apply the events up to where the live tables are now."""
        until = live(self._connection, self._model).position
        for events in between(self._connection, self._codec, self._position, until):
            with self._connection.transaction():
                self._state = self._model.apply(self._tables, self._state, events)
            self._position = events[-1].position
            if self._progress is not None:
                self._progress(RebuildProgress(projection=self._model.name, position=self._position, head=until))

    def complete(self) -> None:
        """Apply the rest of what the live tables hold in this transaction's snapshot."""
        until = live(self._connection, self._model).position
        for events in between(self._connection, self._codec, self._position, until):
            self._state = self._model.apply(self._tables, self._state, events)
            self._position = events[-1].position
        for events in waiting(self._connection, self._codec, self._model, until):
            self._model.apply(self._tables, self._state, events)

    def compared(self) -> VerifiedProjection:
        """The live rows beside these."""
        rows, differing, first = 0, 0, None
        for table in self._model.tables:
            key = primary_key(self._connection, table)
            counted = self._connection.execute(_COUNT.format(Identifier("keyledger", table))).fetchone()
            rows += counted[0] if counted else 0
            row = self._connection.execute(_comparison(table, key)).fetchone()
            if row is not None:
                differing += row[0]
                first = first or _difference(table, key, expected=row[1], found=row[2])
        return VerifiedProjection(
            name=self._model.name,
            version=self._model.version,
            position=self._position,
            rows=rows,
            differing=differing,
            difference=first,
        )


_COUNT = SQL("SELECT count(*) FROM {}")
_COMPARISON = SQL("""
SELECT count(*) OVER (), to_jsonb(e), to_jsonb(f)
FROM pg_temp.{table} AS e FULL JOIN {live} AS f USING ({key})
WHERE e.{first} IS NULL OR f.{first} IS NULL OR e *<> f
ORDER BY {key} LIMIT 1
""")


def _comparison(table: str, key: Sequence[str]) -> Composed:
    """How many rows differ by a byte, and the first of them as it is made and as it is found."""
    return _COMPARISON.format(
        table=Identifier(table),
        live=Identifier("keyledger", table),
        key=SQL(", ").join(map(Identifier, key)),
        first=Identifier(key[0]),
    )


def _difference(
    table: str, key: Sequence[str], *, expected: dict[str, Any] | None, found: dict[str, Any] | None
) -> Difference:
    row = expected or found or {}
    where = {column: row[column] for column in key}
    if expected is None or found is None:
        return Difference(table=table, key=where, column=None, expected=_shown(expected), found=_shown(found))
    # Values may differ in nothing that JSON shows; then it is the row as a whole.
    column = next((name for name, value in expected.items() if value != found.get(name)), None)
    values = (expected, found) if column is None else ({column: expected[column]}, {column: found[column]})
    shown = [_shown(each) for each in values]
    if column is not None:
        shown = [each and each[column] for each in shown]
    return Difference(table=table, key=where, column=column, expected=shown[0], found=shown[1])


def _shown(row: dict[str, Any] | None) -> dict[str, Any] | None:
    return row and {name: _NOT_SHOWN if name in _PRIVATE else value for name, value in row.items()}
