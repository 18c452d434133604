"""The events that come next, read and decoded once for all the read models that stand close to each other."""

from typing import NamedTuple

from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following import positions
from keyledger.projections.sequenced import SequencedEvent


class Batch(NamedTuple):
    """Events one after the other; where there are none, why the next one cannot be decoded, if that is so."""

    events: list[SequencedEvent]
    error: Exception | None = None


class Batches:
    """Reads events in the order of their positions, and keeps the last batch."""

    def __init__(self, database: Database, codec: EventCodec) -> None:
        self._database = database
        self._codec = codec
        self._after = 0
        self._events: list[SequencedEvent] = []

    def after(self, position: int) -> Batch:
        """The events after a position, up to the head or one that cannot be decoded. Raises LedgerUnavailable."""
        place = position - self._after
        if 0 <= place < len(self._events):
            return Batch(self._events[place:])
        rows = positions.read(self._database, position)
        found = self._decoded(rows)
        self._after, self._events = position, found.events
        return found

    def _decoded(self, rows: list[positions.SequencedRow]) -> Batch:
        events: list[SequencedEvent] = []
        try:
            events.extend(positions.decoded(self._codec, rows))
        except Exception as error:  # an upcaster may raise anything
            return Batch(events, None if events else error)
        return Batch(events)
