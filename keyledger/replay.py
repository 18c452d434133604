"""The ledger as it was: any key, all keys, and what changed, at any moment and from the events alone."""

from collections.abc import Callable

from keyledger.api_key import APIKey
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database


class Replay:
    """Reads the past. Every method raises LedgerUnavailable when PostgreSQL is away."""

    def __init__(self, database: Database, codec: EventCodec, get: Callable[[str], APIKey]) -> None:
        """`get` is how a key of the past is reloaded."""
        self._database = database
        self._codec = codec
        self._get = get
