"""The control read model's table, `api_keys`, which appends write; this is how it is derived once more."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from keyledger.domain.events import KeyUsed, UsesLost
from keyledger.infrastructure.following.read_model import Tables
from keyledger.infrastructure.rows import named
from keyledger.projections import control
from keyledger.projections.control import ControlRow
from keyledger.projections.sequenced import SequencedEvent


class ControlModel:
    """The runner does not keep it: a key's row changes in the transaction that appends the event."""

    name = "control"
    version = 1
    tables = ("api_keys",)

    def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
        lifecycle = [event for event in events if not isinstance(event.event, KeyUsed | UsesLost)]
        before = _load(tables, {event.originator_id for event in lifecycle}) if lifecycle else {}
        rows = control.fold(before, lifecycle)
        ordered = [row for _, row in sorted(rows.items()) if row is not None]
        if ordered:
            columns = {field: [getattr(row, field) for row in ordered] for field in ControlRow.__struct_fields__}
            columns["scopes"] = [msgspec.json.encode(scopes).decode() for scopes in columns["scopes"]]
            tables.execute("store_control", columns)
        deleted = [key_id for key_id, row in rows.items() if row is None]
        if deleted:
            tables.execute("delete_control", {"ids": deleted})
        return state


def _load(tables: Tables, ids: Collection[UUID]) -> dict[UUID, ControlRow]:
    rows = tables.execute("load_control", {"ids": list(ids)})
    return {row[0]: ControlRow(**named(ControlRow, row)) for row in rows}
