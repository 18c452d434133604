"""The ledger as it was: any key, all keys, and what changed, at any moment and from the events alone."""

from collections.abc import Callable

from keyledger.api_key import APIKey
from keyledger.infrastructure import rebuild, verification
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.rebuild_report import Progress, RebuildReport
from keyledger.infrastructure.verification import VerificationReport
from keyledger.read_models import named


class Replay:
    """Reads the past. Every method raises LedgerUnavailable when PostgreSQL is away."""

    def __init__(self, database: Database, codec: EventCodec, get: Callable[[str], APIKey]) -> None:
        """`get` is how a key of the past is reloaded."""
        self._database = database
        self._codec = codec
        self._get = get

    def rebuild(self, projection: str | None = None, *, progress: Progress | None = None) -> RebuildReport:
        """Make a read model anew from all events, or all of them, while readers, writers and the worker go on.

        The new rows are compared with the old ones, and take their places at one moment.
        projection: "control", "usage", …; None for all. progress: called with a RebuildProgress after each batch.
        Needs the role that migrates. Raises RebuildRefused, InvalidArgument, LedgerUnavailable.
        """
        return rebuild.rebuild(self._database, self._codec, named(projection), progress)

    def verify_projections(self, *, progress: Progress | None = None) -> VerificationReport:
        """Derive every read model anew from the events and compare it row by row, while everything goes on.

        It needs a session of its own, with temporary tables; behind a pooler, give it PostgreSQL's own address.
        progress: called with a RebuildProgress after each batch. Raises UnreadableEvent, LedgerUnavailable.
        """
        return verification.verify(self._database, self._codec, named(None), progress)
