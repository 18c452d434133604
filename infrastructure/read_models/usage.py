"""The usage read model's tables: `key_usage` and `key_usage_days`."""

from collections.abc import Sequence

from keyledger.infrastructure.following.read_model import Tables
from keyledger.infrastructure.rows import columns, named
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
            tables.execute("store_usage", columns(Usage, (after.keys[key] for key in sorted(after.keys))))
            tables.execute("store_usage_days", columns(UsageDay, (after.days[key] for key in sorted(after.days))))
        return state


def _load(tables: Tables, counted: UsageRows) -> UsageRows:
    """The rows that there are of these keys and days."""
    keys = (Usage(**named(Usage, row)) for row in tables.execute("load_usage", {"ids": list(counted.keys)}))
    parameters = {"ids": [key_id for key_id, _ in counted.days], "days": [day for _, day in counted.days]}
    days = (UsageDay(**named(UsageDay, row)) for row in tables.execute("load_usage_days", parameters))
    return UsageRows(keys={row.id: row for row in keys}, days={(row.id, row.day): row for row in days})
