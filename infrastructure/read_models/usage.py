"""The usage read model's tables: `key_usage` and `key_usage_days`."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from keyledger.domain.events import KeyUsed
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
        used = [sequenced for sequenced in events if isinstance(sequenced.event, KeyUsed)]
        if used:
            after = usage.fold(_load(tables, used), used)
            tables.execute("store_usage", _columns(Usage, after.keys.values()))
            tables.execute("store_usage_days", _columns(UsageDay, after.days.values()))
        return state


def _load(tables: Tables, used: Sequence[SequencedEvent]) -> UsageRows:
    ids = sorted({sequenced.originator_id for sequenced in used})
    keys = (
        Usage(**dict(zip(Usage.__struct_fields__, row, strict=True)))
        for row in tables.execute("load_usage", {"ids": ids})
    )
    wanted = sorted(usage.days(used))
    parameters = {"ids": [key_id for key_id, _ in wanted], "days": [day for _, day in wanted]}
    days = (
        UsageDay(**dict(zip(UsageDay.__struct_fields__, row, strict=True)))
        for row in tables.execute("load_usage_days", parameters)
    )
    return UsageRows(keys={row.id: row for row in keys}, days={(row.id, row.day): row for row in days})


def _columns(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> dict[str, list[Any]]:
    """The rows as one array a column, in the order of their keys: two runners must not deadlock."""
    ordered = list(rows)
    return {field: [getattr(row, field) for row in ordered] for field in kind.__struct_fields__}
