"""Reading the control read model: one key, or a page of a subject's keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.control import ControlRow, searchable

_FIELDS = ControlRow.__struct_fields__
_LARGEST_OFFSET = 2**63 - 1


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key's control row, whether it has expired by the database's clock, and its last use."""

    row: ControlRow
    expired: bool
    last_used_at: datetime | None


class KeyViews:
    """The read side, always from the primary: a caller reads its own writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key_id: UUID) -> KeyView | None:
        """The key, or None."""
        parameters = {"id": key_id}
        query = QUERIES["find_key"]
        values = self._database.run(
            lambda connection: connection.execute(query, parameters, prepare=True, binary=True).fetchone()
        )
        return None if values is None else view_of(values)

    def page(
        self, *, subject: str, query: str | None, offset: int, limit: int, include_invalid: bool
    ) -> tuple[list[KeyView], int]:
        """The keys of a page, newest first, and the number of all that match."""
        parameters = {
            "subject": subject,
            "pattern": _pattern(query) if query else None,
            "offset": min(offset, _LARGEST_OFFSET),
            "limit": limit,
            "include_invalid": include_invalid,
        }
        statement = QUERIES["list_keys"]
        rows = self._database.run(
            lambda connection: connection.execute(statement, parameters, binary=True).fetchall()
        )
        return [view_of(row[1:]) for row in rows if row[1] is not None], rows[0][0]


def view_of(values: Sequence[Any]) -> KeyView:
    """A view from the columns as the queries name them."""
    *row, expired, last_used_at = values
    return KeyView(
        row=ControlRow(**dict(zip(_FIELDS, row, strict=True))), expired=expired, last_used_at=last_used_at
    )


def _pattern(query: str) -> str:
    """A LIKE pattern that takes the query literally."""
    escaped = searchable(query).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
