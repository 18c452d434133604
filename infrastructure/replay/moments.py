"""From what a caller names, a position or a time, to a moment that the events can be read at."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from keyledger.domain.errors import InvalidArgument
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.replay.past import Past
from keyledger.projections.moment import BEFORE_EVENTS, CLOCKS_APART, Moment

_NOTHING = Moment(position=0, time=None, judged_at=BEFORE_EVENTS)
_LARGEST_POSITION = 2**63 - 1


class Moments:
    """Makes moments, having everything stored and positioned that they need. Raises LedgerUnavailable."""

    def __init__(
        self, database: Database, past: Past, *, flush: Callable[[], None], clock: Callable[[], datetime]
    ) -> None:
        """`flush` stores the uses that wait in this process."""
        self._past = past
        self._sequencer = Sequencer(database)
        self._flush = flush
        self._clock = clock

    def of_position(self, param: str, position: int) -> Moment:
        """After the event at a position. Raises InvalidArgument for one that is beyond the last."""
        if position == 0:
            return _NOTHING
        recorded_at = self._recorded_at(position)
        if recorded_at is None:
            head = self.head()
            recorded_at = self._recorded_at(position)
            if recorded_at is None:
                raise InvalidArgument(param, f"a time, or a position up to the last one, which is {head}")
        return Moment(position=position, time=None, judged_at=recorded_at)

    def of_time(self, param: str, time: datetime) -> Moment:
        """At a time, with each key read to the head of its stream. Raises InvalidArgument for the future."""
        if time > self._clock() + CLOCKS_APART:
            raise InvalidArgument(param, "a time that is not in the future, or a position")
        self._flush()
        time = max(time, BEFORE_EVENTS).astimezone(UTC)
        return Moment(position=None, time=time, judged_at=time)

    def fixed(self, moment: Moment) -> Moment:
        """The same moment, where events that are committed from now on make no difference."""
        return moment if moment.position is not None else msgspec.structs.replace(moment, position=self.head())

    def head(self) -> int:
        """The last position, once everything that is committed, or waits in this process, has one."""
        self._flush()
        return self._sequencer.catch_up()

    def _recorded_at(self, position: int) -> datetime | None:
        return self._past.recorded_at(position) if position <= _LARGEST_POSITION else None
