"""Takes note of uses in memory, while verifications wait for it. It is compiled where that can be done."""

from collections import deque
from collections.abc import Callable

from keyledger.compiled import prefer_compiled
from keyledger.domain.errors import LedgerClosed
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.uses.journal import UseJournal
from keyledger.infrastructure.uses.pending import Pending

Refuse = Callable[[int, int, int, Outcome, Use], None]
"""Takes note of a refused attempt: the halves of the key's id, the moment, how it ended, its request."""


class Taker:
    """Has `record`, the hot path: it takes no lock."""

    def __init__(self, pending: deque[Pending], refuse: Refuse, make_room: Callable[[int], bool]) -> None:
        """Accepted uses go into `pending`. Where many wait, `make_room` says whether another one of a key may."""
        self.closed = False
        """Set before the last flush: what comes after it is not taken."""
        self.crowd = 0
        """With so many that wait, `make_room` is asked first."""
        self._pending = pending
        self._append = pending.append
        self._refuse = refuse
        self._make_room = make_room

    def begin(self, journal: UseJournal, clock_ns: Callable[[], int]) -> None:
        """Have a place in the journal for each accepted use from now on; before, `record` cannot be called."""
        self._clock_ns = clock_ns
        self._next_slot = journal.next_slot
        self._mask = journal.mask
        self._lows = journal.low
        self._highs = journal.high

    def record(self, high: int, low: int, outcome: Outcome, use: Use) -> None:
        """Take note of a use. Raises LedgerClosed, and for an accepted one LedgerUnavailable."""
        now = self._clock_ns()
        if outcome != "valid":
            self._refuse(high, low, now, outcome, use)
            return
        if len(self._pending) >= self.crowd and not self._make_room(high << 64 | low):
            return
        slot = self._next_slot() & self._mask
        self._lows[slot] = low
        self._highs[slot] = high
        self._append((high, low, now, outcome, use, slot))
        if self.closed:  # asked after the adding: what the last flush did not see is not accepted
            raise LedgerClosed("the ledger was closed")


prefer_compiled(__name__)
