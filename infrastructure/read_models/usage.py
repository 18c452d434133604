"""The usage read model's tables: `key_usage` and `key_usage_days`."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from keyledger.infrastructure.read_model import Tables
from keyledger.projections import usage
from keyledger.projections.sequenced import SequencedEvent
from keyledger.projections.usage import Usage, UsageDay, UsageRows


class UsageModel:
    """Kept by the runner; `key_usage.last_used_at` is what lists and keys show."""

    name = "usage"
    version = 1
    tables = ("key_usage", "key_usage_days")

    def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
        counted = usage.counted(events)
        if counted.keys:
            after = usage.joined(_load(tables, counted), counted)
            tables.execute("store_usage", _columns(Usage, (after.keys[key] for key in sorted(after.keys))))
            tables.execute("store_usage_days", _columns(UsageDay, (after.days[key] for key in sorted(after.days))))
        return state


def _load(tables: Tables, counted: UsageRows) -> UsageRows:
    """The rows that there are of these keys and days."""
    keys = (Usage(**_named(Usage, row)) for row in tables.execute("load_usage", {"ids": list(counted.keys)}))
    parameters = {"ids": [key_id for key_id, _ in counted.days], "days": [day for _, day in counted.days]}
    days = (UsageDay(**_named(UsageDay, row)) for row in tables.execute("load_usage_days", parameters))
    return UsageRows(keys={row.id: row for row in keys}, days={(row.id, row.day): row for row in days})


def _named(kind: type[msgspec.Struct], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(kind.__struct_fields__, values, strict=True))


def _columns(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> dict[str, list[Any]]:
    """The rows as one array a column, in the order of the fields."""
    ordered = [msgspec.structs.astuple(row) for row in rows]
    return {
        field: list(column)
        for field, column in zip(kind.__struct_fields__, zip(*ordered, strict=True), strict=True)
    }
