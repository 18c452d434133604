"""The usage read model's tables: `key_usage` and `key_usage_days`."""

from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

from keyledger.infrastructure.following.read_model import Tables
from keyledger.infrastructure.rows import columns, named
from keyledger.projections import usage
from keyledger.projections.sequenced import SequencedEvent
from keyledger.projections.usage import Usage, UsageDay


class UsageModel:
    """Kept by the runner; `key_usage.last_used_at` is what lists and keys show."""

    name = "usage"
    version = 1
    tables = ("key_usage", "key_usage_days")

    def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
        counted = usage.counted(events)
        if counted.keys:
            keys = usage.added(_load(tables, counted.keys), counted.keys)
            tables.execute("store_usage", columns(Usage, (keys[key_id] for key_id in sorted(keys, key=_number))))
            days = sorted(counted.days.values(), key=_number_and_day)
            tables.execute("store_usage_days", columns(UsageDay, days))
        return state


def _load(tables: Tables, ids: Iterable[UUID]) -> dict[UUID, Usage]:
    """The rows that there are of these keys."""
    rows = (Usage(**named(Usage, row)) for row in tables.execute("load_usage", {"ids": list(ids)}))
    return {row.id: row for row in rows}


def _number(key_id: UUID) -> int:
    return key_id.int  # a UUID compares itself in Python


def _number_and_day(row: UsageDay) -> tuple[int, date]:
    return row.id.int, row.day
