"""Rebuilding read models from the events while readers, writers and the worker go on.

The new tables are made beside the live ones and filled from position 1 by a runner of their own. In one snapshot
they are brought to where the live ones are, and the digests of both are taken. Then they take the live ones' place
in one transaction, which holds the live tables for some milliseconds; whoever reads meanwhile waits for that,
and finds the new ones whole, since a statement takes its snapshot after its locks.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from keyledger.domain.errors import KeyLedgerError, RebuildRefused
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database, T
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.rebuilding import side_tables
from keyledger.infrastructure.rebuilding.live import Live, live
from keyledger.infrastructure.rebuilding.rebuild_report import (
    Progress,
    RebuildProgress,
    RebuildReport,
    RebuiltProjection,
)
from keyledger.infrastructure.rebuilding.side_rows import InUse, SideRows

_WORK_SECONDS = 24 * 3600.0
_PAUSE_SECONDS = 0.05
_SWITCH_PATIENCE_SECONDS = 300.0


def rebuild(
    database: Database, codec: EventCodec, models: Sequence[ReadModel], progress: Progress | None = None
) -> RebuildReport:
    """Rebuild these read models, one after the other. Raises RebuildRefused, LedgerUnavailable."""
    Sequencer(database).catch_up()
    return RebuildReport(projections=tuple(_Rebuild(database, codec, model, progress).run() for model in models))


class _Rebuild:
    """The rebuild of one read model."""

    def __init__(self, database: Database, codec: EventCodec, model: ReadModel, progress: Progress | None) -> None:
        self._database = database
        self._model = model
        self._progress = progress
        self._rows = SideRows(codec, model)
        self._runner = Runner(database, codec, [model], self._rows.place)

    def run(self) -> RebuiltProjection:
        """Do it all. What was made is removed again where that fails."""
        began = time.monotonic()
        with self._alone():
            self._run(self._rows.begin)
            try:
                return self._rebuilt(began)
            except BaseException:
                with suppress(KeyLedgerError):
                    self._run(self._rows.abandon)
                raise

    def _rebuilt(self, began: float) -> RebuiltProjection:
        self._fill(_of_live)
        failure = self._runner.failure(self._model)
        if failure is not None:
            raise RebuildRefused(f"the read model {self._model.name!r} cannot be made anew: {failure}")
        compared = self._run(self._rows.compare)
        self._fill(self._last)
        with self._database.apart() as connection:
            side_tables.vacuum(connection, self._model)
        events = self._switch()
        return RebuiltProjection(
            name=self._model.name,
            version=self._model.version,
            events=events,
            seconds=time.monotonic() - began,
            compared_at=compared.position,
            old_digest=compared.old,
            new_digest=compared.new,
            equal=compared.old == compared.new if compared.version == self._model.version else None,
            switched=True,
            failure=self._runner.failure(self._model),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """For as long as this process lives, keep other rebuilds of the read model from beginning."""
        with self._database.apart() as connection, connection.transaction():
            side_tables.check_rights(connection, self._model)
            self._rows.hold(connection)
            yield

    def _fill(self, goal: Callable[[Live], int]) -> None:
        """Apply events up to the goal, which may move meanwhile, or to one that the read model cannot take."""
        while (position := self._run(self._rows.position)) < (head := goal(self._run(self._live))):
            applied = self._runner.step(self._model, head)
            if applied and self._progress is not None:
                told = RebuildProgress(projection=self._model.name, position=position + applied, head=head)
                self._progress(told)
            if not applied:
                if self._runner.failure(self._model) is not None:
                    return
                time.sleep(_PAUSE_SECONDS)

    def _last(self, found: Live) -> int:
        """Where the live tables are; the head where they do not move, or are another version's."""
        if found.stopped or found.version != self._model.version:
            return Sequencer(self._database).position()
        return found.position

    def _switch(self) -> int:
        """Switch as soon as nobody holds the live tables for long; returns the position. Raises RebuildRefused."""
        deadline = time.monotonic() + _SWITCH_PATIENCE_SECONDS
        while True:
            try:
                switched = self._run(self._rows.switch)
            except InUse:
                if time.monotonic() >= deadline:
                    raise RebuildRefused(
                        f"the tables of {self._model.name!r} were in use for {_SWITCH_PATIENCE_SECONDS:g} s on"
                        " end, by a long transaction such as a backup: try again when it is over"
                    ) from None
                time.sleep(_PAUSE_SECONDS)
                switched = None
            if switched is not None:
                return switched
            self._fill(self._last)

    def _live(self, connection: DeadlineConnection) -> Live:
        return live(connection, self._model)

    def _run(self, work: Callable[[DeadlineConnection], T]) -> T:
        return self._database.run(work, work_seconds=_WORK_SECONDS)


def _of_live(found: Live) -> int:
    return found.position
