"""The history read model's table: `history`."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from keyledger.infrastructure.following.read_model import Tables
from keyledger.projections.history import KeyState, fold
from keyledger.projections.sequenced import SequencedEvent

_TYPES = [
    *("int8", "uuid", "int8", "text", "text", "text", "text", "text", "text", "text"),
    *("timestamptz", "timestamptz", "timestamptz", "bool", "int4", "bool"),
]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(datetime)


class HistoryModel:
    """Kept by the runner; `ledger.audit` reads it. The state between batches is the last row's `high_at`."""

    name = "history"
    version = 2
    tables = ("history",)

    def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
        high_at = None if state is None else _decoder.decode(state)
        rows = fold(_load(tables, events), high_at, events)
        tables.copy("store_history", _TYPES, map(msgspec.structs.astuple, rows))
        return _encoder.encode(rows[-1].high_at)


def _load(tables: Tables, events: Sequence[SequencedEvent]) -> dict[UUID, KeyState]:
    """The states of the keys that did not begin with these events."""
    ids = sorted({event.originator_id for event in events if event.originator_version > 1})
    parameters = {"ids": ids, "position": events[0].position}
    return {
        key_id: KeyState(subject=subject, revoked=revoked)
        for key_id, subject, revoked in tables.execute("load_history_keys", parameters)
    }
