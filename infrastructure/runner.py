"""The runner: brings read models up to the head of the events, batch by batch.

Rows and position change in one transaction, which holds only if the position is still the one that the batch
began at: a second runner writes nothing twice. An event that a read model cannot take stops that one and no other.
"""

import logging
import time
from collections.abc import Sequence

import msgspec
import psycopg

from keyledger.domain import secret
from keyledger.domain.errors import LedgerUnavailable, UnreadableEvent
from keyledger.infrastructure import sequence
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import PASSING, Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.read_model import ReadModel, Tables
from keyledger.infrastructure.sequence import SequencedRow
from keyledger.projections.sequenced import SequencedEvent

_log = logging.getLogger("keyledger.projections")

_TRY_AGAIN_SECONDS = 10.0
_FAILURE_CHARACTERS = 500


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a read model has come, and what its fold keeps between batches."""

    position: int
    state: bytes | None


class _Poison(Exception):
    """The read model cannot take these events; the cause says why."""


class Runner:
    """Applies events to read models."""

    def __init__(self, database: Database, codec: EventCodec, read_models: Sequence[ReadModel]) -> None:
        self.read_models = tuple(read_models)
        self._database = database
        self._codec = codec
        self._progress: dict[str, Progress] = {}
        self._try_again_at: dict[str, float] = {}
        self._read: tuple[int, list[SequencedRow]] = (-1, [])

    def step(self, model: ReadModel, head: int) -> int:
        """Apply one batch to one read model; returns to how many events: 0 at the head, or where it stopped.

        Raises LedgerUnavailable.
        """
        if time.monotonic() < self._try_again_at.get(model.name, 0.0):
            return 0
        progress = self._progress.get(model.name) or self._find(model)
        if progress is None:
            return 0
        self._progress[model.name] = progress
        if progress.position >= head:
            return 0
        rows = self._rows(progress.position)
        if not rows:
            return 0
        events, unreadable = self._decoded(rows)
        applied = self._apply(model, progress, events) if events else 0
        if unreadable is not None and applied == len(events):
            self._stop(model, rows[applied].position, unreadable)
        return applied

    def catch_up(self, position: int, *names: str) -> None:
        """Bring the read models of these names to a position at least; a second runner may do a part of it.

        Raises LedgerUnavailable where one of them stops before.
        """
        for model in self.read_models:
            if model.name in names:
                while (progress := self._find(model)) is not None and progress.position < position:
                    self._progress[model.name] = progress
                    if not self.step(model, position) and self._is_behind(model, progress):
                        raise LedgerUnavailable(
                            f"the read model {model.name!r} has stopped before position {progress.position + 1}:"
                            " `keyledger projections status` says why"
                        )

    def _is_behind(self, model: ReadModel, progress: Progress) -> bool:
        """Whether nobody moved it meanwhile."""
        return self._find(model) == progress

    def _find(self, model: ReadModel) -> Progress | None:
        """Where the read model is; None where the database has another version of it."""
        key = {"name": model.name, "version": model.version}
        row = self._database.run(
            lambda connection: connection.execute(QUERIES["find_projection"], key, binary=True).fetchone()
        )
        return None if row is None else Progress(position=row[0], state=row[1])

    def _rows(self, after: int) -> list[SequencedRow]:
        """The rows after a position; read once for all read models that stand there."""
        if self._read[0] != after or not self._read[1]:
            self._read = (after, sequence.read(self._database, after))
        return self._read[1]

    def _decoded(self, rows: list[SequencedRow]) -> tuple[list[SequencedEvent], UnreadableEvent | None]:
        """The events up to the first that cannot be read, and why it cannot."""
        events: list[SequencedEvent] = []
        try:
            events.extend(sequence.decoded(self._codec, rows))
        except UnreadableEvent as error:
            return events, error
        return events, None

    def _apply(self, model: ReadModel, progress: Progress, events: Sequence[SequencedEvent]) -> int:
        """Apply as many of the events as can be; where one cannot, note it."""
        try:
            return self._apply_all(model, progress, events)
        except _Poison as poison:
            if len(events) == 1:
                self._stop(model, events[0].position, poison.__cause__)
                return 0
        applied = 0
        for event in events:
            at = self._progress.get(model.name)
            if at is None or not self._apply(model, at, [event]):
                break
            applied += 1
        return applied

    def _apply_all(self, model: ReadModel, progress: Progress, events: Sequence[SequencedEvent]) -> int:
        """Apply all the events, in one transaction. Raises _Poison."""

        def apply(connection: DeadlineConnection) -> Progress | None:
            try:
                with connection.transaction():
                    return _move(model, progress, events, connection)
            except PASSING:
                raise
            except Exception as error:
                raise _Poison from error
            return None

        try:
            moved = self._database.run(apply)
        except _Poison:
            self._progress[model.name] = progress
            raise
        if moved is None:
            self._progress.pop(model.name, None)
            return 0
        self._progress[model.name] = moved
        return len(events)

    def _stop(self, model: ReadModel, position: int, error: BaseException | None) -> None:
        failure = secret.redact(f"{type(error).__name__}: {error}")[:_FAILURE_CHARACTERS]
        parameters = {
            "name": model.name,
            "version": model.version,
            "failed_position": position,
            "failure": failure,
        }
        self._database.run(lambda connection: connection.execute(QUERIES["stop_projection"], parameters))
        self._try_again_at[model.name] = time.monotonic() + _TRY_AGAIN_SECONDS
        _log.error("the read model %r stopped before position %d: %s", model.name, position, failure)


def _move(
    model: ReadModel, progress: Progress, events: Sequence[SequencedEvent], connection: DeadlineConnection
) -> Progress | None:
    """Change the rows and the position; None, and nothing is changed, where another was quicker."""
    state = model.apply(Tables(connection), progress.state, events)
    moved = Progress(position=events[-1].position, state=state)
    parameters = {
        "name": model.name,
        "version": model.version,
        "expected": progress.position,
        "position": moved.position,
        "state": moved.state,
    }
    if connection.execute(QUERIES["move_projection"], parameters).rowcount == 1:
        return moved
    raise psycopg.Rollback
