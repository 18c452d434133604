"""The lease: until when this process may decide from memory.

Each answer of the feed grants it anew, counted from the moment when the question was SENT: whatever is committed
after that may be missing in the answer. So nothing is accepted later than a lease after it was revoked, whatever
gets lost, late or stopped.
"""

import math
from array import array

from keyledger.infrastructure.verifying.clock import Clock

USED_PART = 0.98
"""How much of the lease is used: clocks that differ by 1 % then still agree that it is over, with 1 % to spare."""

WAITED_PART = 1.03
"""How much of a lease has to be waited out, by a clock that differs as much, to know that it is over."""


class Lease:
    """A deadline by this process's clock, and how far the database's clock is ahead of it."""

    __slots__ = ("_clock", "_suspended_until", "_used_seconds", "seconds", "sent_at", "terms")

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self.terms = array("d", (-math.inf, 0.0))
        """`until` and `ahead_seconds`, for who looks at them at every verification."""
        self._used_seconds = seconds * USED_PART
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """No lease yet: at first, and in a forked child."""
        self.until = -math.inf
        self.sent_at = -math.inf
        self.ahead_seconds = 0.0
        self._suspended_until = -math.inf

    @property
    def until(self) -> float:
        """Until when, by this process's clock, it may decide."""
        return self.terms[0]

    @until.setter
    def until(self, until: float) -> None:
        self.terms[0] = until

    @property
    def ahead_seconds(self) -> float:
        """How far the database's clock is ahead."""
        return self.terms[1]

    @ahead_seconds.setter
    def ahead_seconds(self, seconds: float) -> None:
        self.terms[1] = seconds

    @property
    def holds(self) -> bool:
        """Whether this process may decide now."""
        return self._clock() < self.until

    def grant(self, sent_at: float, database_time: float) -> None:
        """Hold until a lease after the question was sent; the answer tells the database's time (Unix seconds).

        The database's clock was read after the sending, so the estimate is never behind it but by the drift
        of a lease: what has expired is found to have.
        """
        if sent_at < self._suspended_until:
            return
        self.ahead_seconds = database_time - sent_at
        self.sent_at = sent_at
        self.until = sent_at + self._used_seconds

    def end(self) -> None:
        """Hold no longer."""
        self.until = -math.inf

    def suspend(self) -> None:
        """End, and grant nothing for as long as another process may go on with its own."""
        self.until = -math.inf
        self._suspended_until = self._clock() + self.seconds * WAITED_PART

    @property
    def age_seconds(self) -> float:
        """How long ago the last answer's question was sent; infinite where there was none."""
        return self._clock() - self.sent_at
