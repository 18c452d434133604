"""Uses that wait in this process's memory: the accepted ones of a buffered ledger, and refused attempts of any.

What is accepted is in the journal too, so that a killed process's losses are known.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from keyledger.domain.errors import LedgerClosed, LedgerUnavailable
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.uses.buffer import KEYS_PER_FLUSH, Flush, lost, used
from keyledger.infrastructure.uses.journal import UseJournal
from keyledger.infrastructure.uses.pending import Intake, Pending, Taker, take, waiting
from keyledger.infrastructure.uses.refused_attempts import RefusedAttempts
from keyledger.infrastructure.uses.store import UseStore

_log = logging.getLogger("keyledger.uses")

Record = Callable[[int, int, Outcome, Use], None]
"""Takes note of a use of a key, of whose id it gets the high and the low half: a UUID would have to be made."""

SHED_KEYS = 65_536
DRAIN_USES = 20_000


class Numbered(msgspec.Struct):
    """A flush with its number, by which the ledger tells whether it is stored.

    `shed` are places in the journal where the flush is of uses that were shed.
    """

    number: int
    flush: Flush
    shed: list[int] | None = None

    @property
    def uses(self) -> int:
        """How many uses of those that wait are in it."""
        return self.flush.uses if self.shed is None else 0


class UseMemory:
    """Takes uses from any thread; stores them, oldest first, for one thread at a time."""

    def __init__(
        self,
        codec: EventCodec,
        refused: RefusedAttempts,
        wake: threading.Event,
        *,
        limit_uses: int,
        many_uses: int,
    ) -> None:
        """With `many_uses` waiting, `wake` is set; beyond `limit_uses` they are shed."""
        self.uses_shed = 0
        self._codec = codec
        self._refused = refused
        self._unknown = refused.like()
        self._wake = wake
        self._limit_uses = limit_uses
        self._many_uses = many_uses
        self._intake = Intake()
        self._pending = self._intake.waiting
        self._nowhere: deque[Pending] = deque()
        self._unstored: deque[Numbered] = deque()
        self._unstored_uses = 0
        self._number = 0
        self._journal: UseJournal | None = None
        self._shedding = threading.Lock()
        self._set_crowd()

    @property
    def closed(self) -> bool:
        """Set before the last flush: what comes after it is not taken."""
        return self._intake.closed

    @closed.setter
    def closed(self, closed: bool) -> None:
        self._intake.closed = closed

    def __len__(self) -> int:
        """How many uses wait to be stored."""
        return len(self._pending) + self._unstored_uses

    def taker(self, journal: UseJournal, clock_ns: Callable[[], int]) -> Record:
        """What takes note of a use."""
        self._journal = journal
        return Taker(self._intake, journal, clock_ns, refuse=self.refuse, make_room=self._make_room).record

    def refuse(self, high: int, low: int, now: int, outcome: Outcome, use: Use, *, known: bool = True) -> None:
        """Take note of a refused attempt, or count it. Raises LedgerClosed.

        Where no key of the id is known there is no stream for it: the same is done, and leaves nothing.
        """
        attempts, pending = (self._refused, self._pending) if known else (self._unknown, self._nowhere)
        number = high << 64 | low
        if attempts.lists(number):
            if len(self) < self._limit_uses and len(self._nowhere) < self._limit_uses:
                pending.append(waiting(high, low, now, outcome, use))
            else:
                attempts.count(number)
        if self.closed:
            raise LedgerClosed("the ledger was closed")

    def flush(self, store: UseStore, source: UUID) -> None:
        """Store all that there is now. Raises LedgerUnavailable, and keeps what is not stored."""
        self._store_all(store, source)  # while this fails, what comes after stays where it is bounded
        self._flush_shed(store, source)
        self._unknown.take_unlisted()
        self._nowhere.clear()
        rest = len(self._pending)
        while rest > 0 or self._refused.unlisted:
            self._drain()
            self._store_all(store, source)
            rest -= DRAIN_USES

    def next_number(self) -> int:
        """The number of a flush of this process."""
        self._number += 1
        return self._number

    def _make_room(self, number: int) -> bool:
        """With many uses waiting, have them stored; at the limit, count this one as shed, and return False.

        Raises LedgerUnavailable where even that cannot be counted.
        """
        if not self._wake.is_set():
            self._wake.set()
        if len(self) < self._limit_uses:
            return True
        with self._shedding:
            assert self._journal is not None
            if not self._journal.shed(number):
                raise LedgerUnavailable(
                    "uses come faster than PostgreSQL stores them; no more are accepted for now"
                )
            self.uses_shed += 1
        return False

    def _drain(self) -> None:
        """Make flushes of a part of what waits."""
        pending = self._pending
        uses = take(pending, DRAIN_USES)
        unlisted = self._refused.take_unlisted()
        try:
            flushes = used(self._codec, uses, unlisted)
        except BaseException:  # no memory, or a clock beyond the years that there are
            pending.extendleft(reversed(uses))
            self._refused.give_back(unlisted)
            raise
        for flush in flushes:
            numbered = Numbered(self.next_number(), flush)
            if self._journal is not None:
                self._journal.mark(flush.slots, numbered.number)
            self._add(numbered)

    def _flush_shed(self, store: UseStore, source: UUID) -> None:
        journal = self._journal
        while journal is not None and journal.has_shed:
            number = self.next_number()
            with self._shedding:
                shed = journal.take_shed(KEYS_PER_FLUSH, number)
            flush = lost(self._codec, shed.counts.items(), "full", datetime.now(UTC))
            _log.error("%d uses of %d keys came faster than they were stored: shed", flush.uses, len(shed.places))
            self._add(Numbered(number, flush, shed.places))
            self._store_all(store, source)

    def _add(self, numbered: Numbered) -> None:
        self._unstored.append(numbered)
        self._unstored_uses += numbered.uses
        self._set_crowd()

    def _store_all(self, store: UseStore, source: UUID) -> None:
        while self._unstored:
            first = self._unstored[0]
            store.store(source, first.number, first.flush)
            if self._journal is not None:
                self._journal.clear(first.flush.slots)
                with self._shedding:
                    self._journal.clear_shed(first.shed or ())
            self._unstored.popleft()
            self._unstored_uses -= first.uses
            self._set_crowd()

    def _set_crowd(self) -> None:
        """With so many uses waiting, taking one more has a look at the limit."""
        self._intake.crowd = max(0, min(self._many_uses, self._limit_uses - self._unstored_uses))
