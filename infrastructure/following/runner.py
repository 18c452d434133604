"""The runner: brings read models up to the head of the events, batch by batch.

Rows and position change in one transaction, which begins by locking the position and holds only where it is still
the one that the batch begins at: of two runners, one does nothing. An event that a read model cannot take stops
that one just before it, and no other; it is tried again now and then.
"""

import logging
import time
from collections.abc import Callable, Sequence

import msgspec

from keyledger.domain.errors import LedgerUnavailable
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following import failure
from keyledger.infrastructure.following.advance import HeldUp, Refused, advance
from keyledger.infrastructure.following.batch import Batches
from keyledger.infrastructure.following.place import Place, live
from keyledger.infrastructure.following.positions import BATCH_EVENTS
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.sequenced import SequencedEvent

_log = logging.getLogger("keyledger.projections")

STOPPED_SECONDS = 10.0
"""How long a read model that has stopped rests."""

_HELD_UP_SECONDS = 1.0
_POLL_SECONDS = 0.005


class _Mark(msgspec.Struct):
    """What a runner knows of a read model: hints, since another runner may move it at any time."""

    position: int | None = None
    limit: int = BATCH_EVENTS
    resting_until: float = 0.0
    failure: str | None = None


class Runner:
    """Applies events to read models, up to a position and never past it."""

    def __init__(
        self,
        database: Database,
        codec: EventCodec,
        read_models: Sequence[ReadModel],
        place: Callable[[ReadModel], Place] = live,
    ) -> None:
        """`place` says where each of them stands."""
        self.read_models = tuple(read_models)
        self._places = {model.name: place(model) for model in read_models}
        self._database = database
        self._batches = Batches(database, codec)
        self._marks = {model.name: _Mark() for model in read_models}

    def step(self, model: ReadModel, head: int) -> int:
        """Apply one batch to one read model; returns to how many events: 0 at the head, or where it stopped.

        Raises LedgerUnavailable.
        """
        mark = self._marks[model.name]
        if time.monotonic() < mark.resting_until:
            return 0
        if mark.position is None:
            mark.position = self._position(model)
        if mark.position is None or mark.position >= head:
            return 0
        events, unreadable = self._batches.after(mark.position)
        if unreadable is not None:
            self._stop(model, mark.position + 1, unreadable)
        return self._apply(model, events[: head - mark.position]) if events else 0

    def failure(self, model: ReadModel) -> str | None:
        """Why the read model has stopped, as far as this runner knows."""
        return self._marks[model.name].failure

    def catch_up(self, position: int, *names: str) -> None:
        """Bring the read models of these names to a position at least; other runners may do a part of it.

        Raises LedgerUnavailable where one of them stops before, when the others are there.
        """
        stopped: list[LedgerUnavailable] = []
        for model in self.read_models:
            if model.name in names:
                try:
                    self._catch_up(model, position)
                except LedgerUnavailable as error:
                    stopped.append(error)
        if stopped:
            raise stopped[0]

    def _catch_up(self, model: ReadModel, position: int) -> None:
        mark, deadline = self._marks[model.name], time.monotonic() + self._database.timeout_seconds
        mark.resting_until, mark.position = 0.0, self._position(model)
        while mark.position is None or mark.position < position:
            before = mark.position
            if self.step(model, position):
                deadline = time.monotonic() + self._database.timeout_seconds
                continue
            mark.position = self._position(model)
            if mark.position is None:
                raise LedgerUnavailable(f"the read model {model.name!r} is another keyledger's: versions differ")
            if mark.position != before:
                continue
            if mark.failure is not None or time.monotonic() >= deadline:
                reason = mark.failure or "somebody holds a lock on its tables"
                raise LedgerUnavailable(
                    f"the read model {model.name!r} has stopped before position {mark.position + 1}: {reason}"
                )
            time.sleep(_POLL_SECONDS)

    def _position(self, model: ReadModel) -> int | None:
        """Where the read model is; None where the database has another version of it."""
        place = self._places[model.name]
        row = self._database.run(lambda connection: connection.execute(QUERIES[place.find], place.key).fetchone())
        return None if row is None else row[0]

    def _apply(self, model: ReadModel, events: Sequence[SequencedEvent]) -> int:
        """Apply the events; where they are refused, the half of them, until the one is found that is to blame."""
        mark = self._marks[model.name]
        while True:
            some = events[: mark.limit]
            try:
                moved = self._database.run(advance(model, self._places[model.name], some))
            except HeldUp:
                mark.resting_until = time.monotonic() + _HELD_UP_SECONDS
                return 0
            except LedgerUnavailable:
                # So that one which is slow does not hold up the others, nor for ever.
                mark.limit, mark.resting_until = max(1, len(some) // 2), time.monotonic() + _HELD_UP_SECONDS
                raise
            except Refused as refused:
                if len(some) == 1 or failure.is_of_all_events(refused.error):
                    self._stop(model, some[0].position, refused.error)
                    return 0
                mark.limit = len(some) // 2
                continue
            return self._go_on(model, some) if moved else self._forget(model)

    def _go_on(self, model: ReadModel, applied: Sequence[SequencedEvent]) -> int:
        mark = self._marks[model.name]
        if mark.failure is not None:
            _log.info("the read model %r goes on", model.name)
        mark.position, mark.failure = applied[-1].position, None
        mark.limit = min(BATCH_EVENTS, 2 * mark.limit)
        return len(applied)

    def _forget(self, model: ReadModel) -> int:
        """Somebody else moved the read model: ask where it is."""
        self._marks[model.name].position = None
        return 0

    def _stop(self, model: ReadModel, position: int, error: Exception) -> None:
        mark, described = self._marks[model.name], failure.described(error, model)
        mark.resting_until = time.monotonic() + STOPPED_SECONDS
        place = self._places[model.name]
        parameters = {**place.key, "failed_position": position, "failure": described}
        noted = self._database.run(lambda connection: connection.execute(QUERIES[place.stop], parameters).rowcount)
        if not noted:
            mark.resting_until = 0.0
            self._forget(model)
        elif described != mark.failure:
            _log.error("the read model %r stopped before position %d: %s", model.name, position, described)
            mark.failure = described
