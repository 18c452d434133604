"""What projections fold: events in the order of their positions."""

from datetime import datetime
from uuid import UUID

import msgspec

from keyledger.domain.events import Event


class SequencedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event with its position, its place in its stream, and when the database recorded it."""

    position: int
    originator_id: UUID
    originator_version: int
    recorded_at: datetime
    event: Event
