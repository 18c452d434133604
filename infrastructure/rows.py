"""Rows of a read model as values, and as the arrays that a statement unnests."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


def named(kind: type[msgspec.Struct], values: Sequence[Any]) -> dict[str, Any]:
    """A row's values by the names of the fields."""
    return dict(zip(kind.__struct_fields__, values, strict=True))


def columns(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> dict[str, list[Any]]:
    """The rows as one array a column, in the order of the fields."""
    ordered = [msgspec.structs.astuple(row) for row in rows]
    if not ordered:
        return {field: [] for field in kind.__struct_fields__}
    return {
        field: list(column)
        for field, column in zip(kind.__struct_fields__, zip(*ordered, strict=True), strict=True)
    }
