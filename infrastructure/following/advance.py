"""A read model's advance: its rows and its position change together, or not at all."""

from collections.abc import Callable, Sequence

import psycopg

from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.following import failure
from keyledger.infrastructure.following.place import Place
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.sequenced import SequencedEvent


class Refused(Exception):
    """The read model cannot take the events; `error` says why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class HeldUp(Exception):
    """Somebody holds a lock on the read model's tables."""


def advance(
    model: ReadModel, place: Place, events: Sequence[SequencedEvent]
) -> Callable[[DeadlineConnection], bool]:
    """Work for a Database: applies the events if the read model stands before them, and says whether it did.

    Done twice it does it once. Raises Refused, HeldUp.
    """

    def work(connection: DeadlineConnection) -> bool:
        try:
            with connection.transaction():
                return _changed(model, place, events, connection)
        except psycopg.errors.LockNotAvailable as error:
            raise HeldUp from error
        except Exception as error:
            if failure.is_passing(error):
                raise
            if isinstance(error, psycopg.Error):
                connection.close()  # its session may be what is wrong
            raise Refused(error) from error
        return False

    return work


def _changed(
    model: ReadModel, place: Place, events: Sequence[SequencedEvent], connection: DeadlineConnection
) -> bool:
    expected = events[0].position - 1
    connection.execute(QUERIES["begin_batch"])
    row = connection.execute(QUERIES[place.lock], place.key, binary=True).fetchone()
    if row is None or row[0] != expected:
        return False
    state = model.apply(place.tables(connection), row[1], events)
    moved = {**place.key, "expected": expected, "position": events[-1].position, "state": state}
    if connection.execute(QUERIES[place.move], moved).rowcount != 1:
        raise psycopg.Rollback
    return True
