"""The thread that asks the feed's questions, from the first verification of a process on."""

import logging
import math
import os
import socket
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg

from keyledger.domain.errors import KeyLedgerError, LedgerClosed, LedgerUnavailable
from keyledger.domain.secret import digits_of_id
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.verifying.clock import Clock
from keyledger.infrastructure.verifying.feed import Answer, Feed, must_register
from keyledger.infrastructure.verifying.feed_link import FeedLink, payloads
from keyledger.infrastructure.verifying.key_cache import KeyCache
from keyledger.infrastructure.verifying.lease import Lease

_log = logging.getLogger("keyledger.feed")

_FAILED_SECONDS = 0.05
_SAID_AGAIN_SECONDS = 60.0  # an outage is no reason to fill a log
_BREATH_SECONDS = 0.005  # between two questions, however many barriers are raised
_LOOK_AGAIN_SECONDS = 0.1
_CROWDED_OUTBOX = 1_000


class FeedThread:
    """Keeps the lease, and tells other processes of what this one changed."""

    _thread: threading.Thread | None

    def __init__(
        self,
        database: Database,
        cache: KeyCache[Any],
        lease: Lease,
        clock: Clock,
        *,
        interval_seconds: float,
        listen: bool,
    ) -> None:
        """A question goes out after each interval, and at once when there is reason to."""
        self._database = database
        self._cache = cache
        self._lease = lease
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._link = FeedLink(database, listen=listen, wait_seconds=max(lease.seconds, interval_seconds))
        self._feed = Feed(cache, lease, clock)
        self._closed = False
        self._begin()
        _threads.add(self)

    def await_lease(self, deadline: float) -> None:
        """Return once the lease holds. Raises LedgerUnavailable at the deadline (by the clock), LedgerClosed."""
        while not self._lease.holds:
            if self._closed:
                raise LedgerClosed("the ledger was closed")
            left = deadline - self._clock()
            if left <= 0:
                raise LedgerUnavailable(f"PostgreSQL was not heard of for too long: {self._failure}")
            self.ask_now()
            with self._answered:
                if not self._lease.holds:
                    self._answered.wait(min(left, _LOOK_AGAIN_SECONDS))

    def ask_now(self) -> None:
        """Have a question asked without waiting for the interval to end."""
        if self._thread is None:
            self._start()
        self._asked = True
        self._wake()

    def drop(self, key_id: UUID) -> None:
        """This process may have changed a key: decide by memory no more."""
        self._cache.drop([digits_of_id(key_id.bytes)])

    def announce(self, key_id: UUID) -> None:
        """Tell other processes that a key was changed; they find out by themselves where that fails."""
        digits = digits_of_id(key_id.bytes)
        if self._thread is not None:
            self._announcements.append(digits)
            self._wake()
            return
        parameters = {"changes": payloads([digits])}
        with suppress(KeyLedgerError):
            self._database.run(
                lambda connection: connection.execute(QUERIES["announce_changes"], parameters).fetchone()
            )

    def close(self) -> None:
        """End the lease and the thread."""
        self._closed = True
        self._lease.end()
        self._wake()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._cache.clear()

    def _begin(self) -> None:
        """No thread: at first, and in a forked child."""
        self._starting = threading.Lock()
        self._answered = threading.Condition()
        self._announcements: deque[str] = deque()
        self._asked = False
        self._failure: object = "it was not asked yet"
        self._say_again_at = -math.inf
        self._ear: socket.socket | None = None
        self._bell: socket.socket | None = None
        self._relief: threading.Thread | None = None
        self._thread = None

    def _after_fork(self) -> None:
        """A child decides on nothing before it has registered and asked itself."""
        self._lease.begin()
        self._cache.begin()
        self._feed.begin()
        self._link.forget()
        self._close_bell()
        self._begin()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                self._ear, self._bell = socket.socketpair()
                self._bell.setblocking(False)
                thread = threading.Thread(target=self._work, name="keyledger-feed", daemon=True)
                thread.start()
                self._thread = thread

    def _wake(self) -> None:
        bell = self._bell
        if bell is not None:
            with suppress(OSError):  # rung already, many times
                bell.send(b"\0")

    def _work(self) -> None:
        while not self._closed:
            try:
                until = self._clock() + self._interval_seconds
                self._round()
                self._rest(until)
            except LedgerClosed:
                break
            except Exception as error:
                self._failed(error)
        self._end()

    def _round(self) -> None:
        """One question; whoever waits for a lease looks again."""
        self._asked = False
        answer = self._feed.ask(self._link)
        if self._say_again_at > -math.inf:
            self._say_again_at = -math.inf
            _log.warning("news from PostgreSQL again")
        self._asked |= must_register(answer, self._lease.seconds)
        with self._answered:
            self._answered.notify_all()
        self._relieve(answer)

    def _relieve(self, answer: Answer) -> None:
        """Where nobody gives positions, do so: or every answer would name the same keys again, and ever more."""
        if answer.waiting > _CROWDED_OUTBOX and not (self._relief and self._relief.is_alive()):
            self._relief = threading.Thread(target=self._help, name="keyledger-relief", daemon=True)
            self._relief.start()

    def _help(self) -> None:
        with suppress(KeyLedgerError):
            Sequencer(self._database).help()

    def _rest(self, until: float) -> None:
        """Wait for the time, or for a reason to ask before it; and meanwhile drop, and tell, what changes."""
        assert self._ear is not None
        earliest = self._clock() + _BREATH_SECONDS
        while not self._closed:
            self._tell()
            due = earliest if self._asked else until
            left = due - self._clock()
            if left <= 0:
                return
            for payload in self._link.wait(left, self._ear):
                self._asked |= self._feed.heed(payload)
            self._hush()

    def _hush(self) -> None:
        assert self._ear is not None
        with suppress(BlockingIOError):
            self._ear.recv(4096, socket.MSG_DONTWAIT)

    def _tell(self) -> None:
        if self._announcements:
            digits = [self._announcements.popleft() for _ in range(len(self._announcements))]
            self._link.announce(digits)

    def _failed(self, error: Exception) -> None:
        """Connect again; what is remembered stays true, and the next answer names all that changed meanwhile."""
        known = isinstance(error, (KeyLedgerError, psycopg.Error))
        self._failure = (str(error) or type(error).__name__).splitlines()[0] if known else type(error).__name__
        if self._clock() >= self._say_again_at:
            self._say_again_at = self._clock() + _SAID_AGAIN_SECONDS
            _log.warning("no news from PostgreSQL: %s", self._failure, exc_info=not known)
        self._link.close()
        self._database.revive()
        time.sleep(_FAILED_SECONDS)

    def _end(self) -> None:
        with suppress(psycopg.Error, KeyLedgerError):
            self._tell()
            self._link.leave(self._feed.verifier)
        self._link.close()
        self._close_bell()

    def _close_bell(self) -> None:
        for end in (self._bell, self._ear):
            if end is not None:
                end.close()


_threads: weakref.WeakSet[FeedThread] = weakref.WeakSet()


def _after_fork() -> None:
    for thread in _threads:
        thread._after_fork()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
