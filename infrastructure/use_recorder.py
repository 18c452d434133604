"""Recording uses without holding up a verification: a thread stores the buffer, flush by flush."""

import logging
import os
import random
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import psycopg

from keyledger.domain.errors import KeyLedgerError, LedgerClosed, LedgerUnavailable
from keyledger.domain.events import KeyUsed
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.use_buffer import Flush, UseBuffer

_log = logging.getLogger("keyledger.uses")

_COLLISION_PAUSE_SECONDS = 0.005
_PRUNE_SECONDS = 3600.0


class UseRecorder:
    """Stores every recorded use exactly once, as part of a KeyUsed event of its key."""

    _thread: threading.Thread | None

    def __init__(
        self,
        database: Database,
        codec: EventCodec,
        *,
        clock: Callable[[], datetime],
        committed: Callable[[], None],
        flush_interval_seconds: float,
        flush_after_uses: int,
        buffer_limit_uses: int,
        refused_limit_per_key: int,
    ) -> None:
        """A flush comes after the interval or so many uses, whichever is first; `committed` is told of each."""
        self._database = database
        self._codec = codec
        self._clock = clock
        self._committed = committed
        self._interval_seconds = flush_interval_seconds
        self._flush_after_uses = flush_after_uses
        self._buffer_limit_uses = buffer_limit_uses
        self._refused_limit_per_key = refused_limit_per_key
        self._closed = False
        self._prune_at = time.monotonic()
        self._begin()
        _recorders.add(self)

    def record(self, key_id: UUID, outcome: Outcome, use: Use) -> None:
        """Take note of a use. Raises LedgerClosed, and for an accepted one LedgerUnavailable at a full buffer."""
        waiting = len(self._buffer)
        if waiting + self._unstored_uses >= self._buffer_limit_uses and outcome == "valid":
            raise LedgerUnavailable("uses come faster than PostgreSQL stores them; no more are accepted for now")
        self._buffer.add(key_id, self._clock(), outcome, use)
        if self._closed:  # asked after the adding: a use that close() did not see is never an accepted one
            raise LedgerClosed("the ledger was closed")
        if self._thread is None:
            self._start()
        if waiting >= self._flush_after_uses:
            self._wake.set()

    def flush(self) -> None:
        """Store everything recorded so far. Raises LedgerUnavailable, and keeps what is not stored."""
        with self._flushing:
            self._store_all()  # while this fails, what comes after stays in the buffer, where it is bounded
            for flush in self._buffer.drain():
                self._unstored.append(flush)
                self._unstored_uses += flush.uses
            self._store_all()

    def close(self) -> None:
        """End the thread and store everything. Raises LedgerUnavailable, and stays open with what is left."""
        self._closed = True
        self._wake.set()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        try:
            self.flush()
        except KeyLedgerError as error:
            self._closed = False
            raise LedgerUnavailable(f"{self.depth} recorded uses are not stored: {error}") from None

    @property
    def depth(self) -> int:
        """How many uses wait to be stored."""
        return len(self._buffer) + self._unstored_uses

    def _store_all(self) -> None:
        while self._unstored:
            self._store(self._unstored[0])
            self._unstored_uses -= self._unstored.popleft().uses

    def _store(self, flush: Flush) -> None:
        spans = [_span(event) for _, event in flush.events]
        parameters = {
            "flush_id": flush.id,
            "topic": KeyUsed.topic,
            "ids": [key_id for key_id, _ in flush.events],
            "states": [self._codec.encode(event) for _, event in flush.events],
            "first_used_ats": [first for first, _ in spans],
            "last_used_ats": [last for _, last in spans],
        }
        while True:
            try:
                row = self._database.run(
                    lambda connection: connection.execute(QUERIES["append_used"], parameters).fetchone()
                )
            except psycopg.errors.UniqueViolation:
                # Another writer was at the head of one of these streams: nothing is stored yet, so go again.
                time.sleep(random.uniform(0, _COLLISION_PAUSE_SECONDS))  # noqa: S311
            else:
                break
        self._committed()
        if row is not None and row[0] < len(flush.events):
            _log.error("the uses of %d keys are lost: their streams are not there", len(flush.events) - row[0])

    def _prune(self) -> None:
        if time.monotonic() >= self._prune_at:
            self._database.run(lambda connection: connection.execute(QUERIES["prune_flushes"]))
            self._prune_at = time.monotonic() + _PRUNE_SECONDS

    def _begin(self) -> None:
        """Nothing recorded and no thread: at first, and in a forked child (its parent stores what it had)."""
        self._buffer = UseBuffer(self._refused_limit_per_key)
        self._unstored: deque[Flush] = deque()
        self._unstored_uses = 0
        self._flushing = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._work, name="keyledger-uses", daemon=True)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(self._interval_seconds)
            self._wake.clear()
            try:
                self.flush()
                self._prune()
            except KeyLedgerError as error:
                _log.warning("%d uses wait to be stored: %s", self.depth, error)
            except Exception:
                _log.exception("%d uses wait to be stored", self.depth)


def _span(event: KeyUsed) -> tuple[datetime | None, datetime | None]:
    """When the first and the last accepted use were; None where none was accepted."""
    moments = [use.occurred_at for use in event.uses if use.outcome == "valid"]
    return min(moments, default=None), max(moments, default=None)


_recorders: weakref.WeakSet[UseRecorder] = weakref.WeakSet()


def _after_fork() -> None:
    for recorder in _recorders:
        recorder._begin()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
