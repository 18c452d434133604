"""How a ledger is doing."""

from pathlib import Path

import msgspec

from keyledger.infrastructure.inspection import StoreStatus


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What PostgreSQL holds, the uses that wait here, the pepper of new keys, and where embedded data is.

    `figures` are this process's numbers by name, those that metrics show too.
    """

    store: StoreStatus
    uses_waiting: int
    figures: dict[str, float]
    pepper: str
    data_dir: Path | None
