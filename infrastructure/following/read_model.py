"""What the runner asks of a read model, and the tables that it writes."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from psycopg import Cursor
from psycopg.rows import TupleRow

from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.sequenced import SequencedEvent


class Tables:
    """A read model's tables within a transaction: the live ones, or others of the same columns beside them."""

    def __init__(
        self,
        connection: DeadlineConnection,
        *,
        names: Collection[str] = (),
        suffix: str = "",
        schema: str = "keyledger",
    ) -> None:
        """Statements on `keyledger.NAME` go to `SCHEMA.NAMEsuffix`, for each of `names`."""
        self._connection = connection
        self._pattern = re.compile(rf"\bkeyledger\.({'|'.join(map(re.escape, names))})\b") if names else None
        self._instead = rf"{schema}.\1{suffix}"

    def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> Cursor[TupleRow]:
        """Run sql/`query`.sql."""
        return self._connection.execute(self._statement(query), parameters, binary=True)

    def copy(self, query: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Send rows of values of these types to the COPY of sql/`query`.sql: quicker than to unnest arrays."""
        with self._connection.cursor() as cursor, cursor.copy(self._statement(query)) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _statement(self, query: str) -> str:
        statement = QUERIES[query]
        return statement if self._pattern is None else self._pattern.sub(self._instead, statement)


class ReadModel(Protocol):
    """A projection with its tables.

    `apply` brings what the fold needs of the tables, folds, and writes. It knows no clock and no chance: the rows
    depend on the events alone, however they were cut into batches.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Raised when the rows that it makes of the same events change."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Their names, without the schema."""

    def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
        """Bring the tables from before these events to after them; returns the state to be given next time."""
