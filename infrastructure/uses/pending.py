"""Uses that wait in memory: how they are taken note of, and taken apart to be stored.

It is compiled where that can be done.
"""

from array import array
from collections import deque
from collections.abc import Callable

from keyledger.compiled import prefer_compiled
from keyledger.directives import cclass, no_gc
from keyledger.domain.errors import LedgerClosed
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.uses.journal import UseJournal

Refuse = Callable[[int, int, int, Outcome, Use], None]
"""Takes note of a refused attempt: the halves of the key's id, the moment, how it ended, its request."""

NO_SLOT = -1

_WORD = 8


@no_gc
@cclass
class Pending:
    """A use that waits. There may be very many, so where this is compiled the garbage collector knows of none.

    `high`, `low` are the halves of its key's id, as to make a UUID of each would cost more than all the rest;
    `moment` is in ns since 1970; `slot` is its place in the journal.
    """

    __slots__ = ("high", "low", "moment", "outcome", "slot", "use")

    high: int
    low: int
    moment: int
    outcome: Outcome
    use: Use
    slot: int


def waiting(high: int, low: int, moment: int, outcome: Outcome, use: Use, slot: int = NO_SLOT) -> Pending:
    """A use that waits; with no slot, it is not in the journal."""
    pending = Pending.__new__(Pending)  # an __init__ would get its arguments as a tuple
    pending.high = high
    pending.low = low
    pending.moment = moment
    pending.outcome = outcome
    pending.use = use
    pending.slot = slot
    return pending


class Intake:
    """Where uses wait, in the order in which they came."""

    __slots__ = ("closed", "crowd", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Pending] = deque()
        self.closed = False
        """Set before the last flush: what comes after it is not taken."""
        self.crowd = 0
        """With so many that wait, room has to be asked for first."""


class Taker:
    """Has `record`, the hot path: it takes no lock."""

    __slots__ = (
        "_append",
        "_clock_ns",
        "_highs",
        "_intake",
        "_lows",
        "_make_room",
        "_mask",
        "_numbers",
        "_refuse",
    )

    def __init__(
        self,
        intake: Intake,
        journal: UseJournal,
        clock_ns: Callable[[], int],
        *,
        refuse: Refuse,
        make_room: Callable[[int], bool],
    ) -> None:
        """Each accepted use has a place in the journal. Where many wait, `make_room` says whether one more may."""
        self._intake = intake
        self._append = intake.waiting.append
        self._clock_ns = clock_ns
        self._numbers = journal.numbers
        self._mask = journal.mask
        self._lows = journal.low
        self._highs = journal.high
        self._refuse = refuse
        self._make_room = make_room

    def record(self, high: int, low: int, outcome: Outcome, use: Use) -> None:
        """Take note of a use. Raises LedgerClosed, and for an accepted one LedgerUnavailable."""
        now = self._clock_ns()
        if outcome != "valid":
            self._refuse(high, low, now, outcome, use)
            return
        intake = self._intake
        if len(intake.waiting) >= intake.crowd and not self._make_room(high << 64 | low):
            return
        number = next(self._numbers)
        slot = number & self._mask
        pending = waiting(high, low, now, outcome, use, slot)
        self._lows[slot] = pending.low
        self._highs[slot] = pending.high
        self._append(pending)
        if intake.closed:  # asked after the adding: what the last flush did not see is not accepted
            raise LedgerClosed("the ledger was closed")


def take(pending: deque[Pending], most: int) -> list[Pending]:
    """The oldest, so many at most; they do not wait any more."""
    uses = []
    for _ in range(min(len(pending), most)):
        uses.append(pending.popleft())  # noqa: PERF401 - a comprehension is a function of its own, with no types
    return uses


def by_key(pending: list[Pending]) -> dict[int, list[Pending]]:
    """The uses of each key, by its number, in their order."""
    found: dict[int, list[Pending]] = {}
    uses: list[Pending] = []
    before: Pending | None = None
    for use in pending:
        if before is None or use.high != before.high or use.low != before.low:
            high, low = use.high, use.low
            uses = found.setdefault(high << 64 | low, [])
            before = use
        uses.append(use)
    return found


def columns(uses: list[Pending]) -> tuple["array[int]", list[Outcome], list[Use]]:
    """When each was, in microseconds since 1970, how it ended, and its request."""
    moments, outcomes, requests = array("q", bytes(_WORD * len(uses))), [], []
    column = memoryview(moments)
    for place, use in enumerate(uses):
        column[place] = use.moment // 1000
        outcomes.append(use.outcome)
        requests.append(use.use)
    return moments, outcomes, requests


def accepted_span(moments: "array[int]", outcomes: list[Outcome]) -> tuple[int, int] | tuple[None, None]:
    """When the first and the last accepted one of the uses were."""
    column = memoryview(moments)
    first = last = 0
    found = False
    for place, outcome in enumerate(outcomes):
        if outcome != "valid":
            continue
        moment = column[place]
        if not found:
            first = last = moment
            found = True
        elif moment < first:
            first = moment
        elif moment > last:
            last = moment
    return (first, last) if found else (None, None)


def slots_of(uses: list[Pending]) -> "array[int]":
    """Which slots of the journal they have."""
    count = 0
    for use in uses:
        if use.slot >= 0:
            count += 1
    found = array("q", bytes(_WORD * count))
    column = memoryview(found)
    place = 0
    for use in uses:
        if use.slot >= 0:
            column[place] = use.slot
            place += 1
    return found


prefer_compiled(__name__)
