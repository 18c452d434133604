"""The live tables of a read model: what events they are made of, in the snapshot of a statement or transaction."""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.following import positions
from keyledger.infrastructure.following.positions import SequencedRow
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.read_models import CONTROL
from keyledger.projections.sequenced import SequencedEvent

_FIRST = UUID(int=0)
_WAITING_EVENTS = 1_000


class Live(NamedTuple):
    """The version that made the live rows, the position they are at, and whether the runner has stopped there."""

    version: int
    position: int
    stopped: bool


def is_inline(model: ReadModel) -> bool:
    """Whether appends keep it: its live table holds every committed event, those too that have no position yet."""
    return model.name == CONTROL.name


def live(connection: DeadlineConnection, model: ReadModel) -> Live:
    """Where the live tables are."""
    if is_inline(model):
        row = connection.execute(QUERIES["sequencer_head"]).fetchone()
        assert row is not None
        return Live(model.version, row[1], stopped=False)
    row = connection.execute(QUERIES["find_any_projection"], {"name": model.name}).fetchone()
    return Live(0, 0, stopped=False) if row is None else Live(*row)


def between(
    connection: DeadlineConnection, codec: EventCodec, after: int, until: int
) -> Iterator[list[SequencedEvent]]:
    """The events after one position up to another, in batches. Raises UnreadableEvent."""
    while after < until:
        rows = positions.select(connection, after)[: until - after]
        if not rows:
            return
        yield list(positions.decoded(codec, rows))
        after = rows[-1].position


def waiting(
    connection: DeadlineConnection, codec: EventCodec, model: ReadModel, after: int
) -> Iterator[list[SequencedEvent]]:
    """What the live table holds beyond the events with a position: numbered on from there, in batches."""
    key_id, version = _FIRST, 0
    while is_inline(model):
        parameters = {"after_id": key_id, "after_version": version, "limit": _WAITING_EVENTS}
        rows = connection.execute(QUERIES["select_waiting"], parameters, binary=True).fetchall()
        if not rows:
            return
        key_id, version = rows[-1][:2]
        yield list(
            positions.decoded(codec, [SequencedRow(after + n, *row) for n, row in enumerate(rows, start=1)])
        )
