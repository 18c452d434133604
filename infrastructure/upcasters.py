"""How older versions of the events are read: each upcaster leads from one version to the next."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from keyledger.domain.packing import shortest

Upcaster = Callable[[list[Any]], list[Any]]
"""Makes the fields of the next version out of those of one version; pure."""

_Row = tuple[int, int, int, int, int, int, int]


def _columns_of_rows(fields: list[Any]) -> list[Any]:
    """A KeyUsed of version 1 had a row of numbers for each use; the columns stand in the order of its fields."""
    rows = msgspec.convert(fields[4], list[_Row])
    since, *shared = [list(column) for column in zip(*rows, strict=True)] or [[]] * 7
    return [*fields[:4], [since, *map(shortest, shared)], *fields[5:]]


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {("KeyUsed", 1): _columns_of_rows}
"""By topic and the version that it reads."""
