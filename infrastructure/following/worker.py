"""The background worker: a thread that gives positions and brings the read models up to date.

Of all the processes that have one, the one whose sequencer holds the role works; the others ask now and then
whether the role is free.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence

from keyledger.domain.errors import KeyLedgerError, LedgerClosed
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer

_log = logging.getLogger("keyledger.worker")

_BUSY_SECONDS = 0.003
_ALERT_SECONDS, _AWAKE_SECONDS, _IDLE_SECONDS = 0.008, 0.128, 0.5
_FOR_SECONDS = 5.0
_STANDBY_SECONDS = 1.0
_FAILED_SECONDS = 0.5
_LAST_ROUND_SECONDS = 1.0


class Worker:
    """Keeps positions and read models close behind the events, while the process runs."""

    _thread: threading.Thread | None

    def __init__(
        self, database: Database, codec: EventCodec, read_models: Sequence[ReadModel], *, enabled: bool
    ) -> None:
        """Without `enabled` it does nothing: another process's worker, or `catch_up`, is to do it."""
        self._database = database
        self._codec = codec
        self._read_models = read_models
        self._enabled = enabled
        self._closed = False
        self._begin()
        _workers.add(self)

    def wake(self) -> None:
        """There may be something to do; returns at once."""
        if self._thread is None and self._enabled:
            self._start()
        self._was_woken = True
        self._wake.set()

    def close(self) -> None:
        """End the thread, after a short last round; waits for PostgreSQL no longer than one time-out."""
        self._closed = True
        self._stop.set()
        self._wake.set()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _begin(self) -> None:
        """No thread: at first, and in a forked child."""
        self._sequencer = Sequencer(self._database)
        self._runner = Runner(self._database, self._codec, self._read_models)
        self._was_woken = False
        self._alert_until = self._awake_until = 0.0
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._work, name="keyledger-worker", daemon=True)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        pause, failed = 0.0, False
        while not self._closed:
            try:
                pause, failed = self._round(pause), False
            except LedgerClosed:
                return
            except Exception as error:
                known = isinstance(error, KeyLedgerError)
                _log.warning("events wait for their positions: %s", error, exc_info=not known)
                pause, failed = _FAILED_SECONDS, True
            self._rest(pause)
        if not failed:
            self._end()

    def _round(self, pause: float) -> float:
        """Work, with the role; returns for how long to rest then."""
        if not self._sequencer.claim():
            return _STANDBY_SECONDS
        now = time.monotonic()
        was_woken, self._was_woken = self._was_woken, False
        if self._works():
            if was_woken:
                self._awake_until = now + _FOR_SECONDS
            else:
                self._alert_until = now + _FOR_SECONDS
            return _BUSY_SECONDS
        # Other processes' commits wake nobody here; where there was one, the next is not far. But asking costs.
        if self._alert_until <= now < self._awake_until:
            return _AWAKE_SECONDS
        return min(max(2 * pause, _BUSY_SECONDS), _ALERT_SECONDS if now < self._alert_until else _IDLE_SECONDS)

    def _works(self) -> bool:
        """One batch of positions, and one batch for each read model; whether there was anything to do."""
        done = self._sequencer.step()
        for model in self._read_models:
            done += self._runner.step(model, self._sequencer.head)
        return done > 0

    def _rest(self, seconds: float) -> None:
        """Wait so long, or with the role until there may be something to do, but for a moment at least.

        In that moment writers commit more, which is then one batch and not many.
        """
        if self._sequencer.holds_role and seconds > _BUSY_SECONDS:
            self._wake.wait(seconds)
            self._wake.clear()
            seconds = _BUSY_SECONDS
        self._stop.wait(seconds)

    def _end(self) -> None:
        """What is quickly done is done before the process goes, so that whoever comes next finds it."""
        deadline = time.monotonic() + _LAST_ROUND_SECONDS
        try:
            while self._sequencer.claim() and self._works() and time.monotonic() < deadline:
                pass
            self._sequencer.release()
        except Exception as error:
            _log.warning("the worker ends: %s", error, exc_info=not isinstance(error, KeyLedgerError))


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


def _after_fork() -> None:
    for worker in _workers:
        worker._begin()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
