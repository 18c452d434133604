"""A connection that never waits past a deadline."""

import math
import time

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.rows import TupleRow

_WAIT_INTERVAL_SECONDS = 0.1


class DeadlineConnection(psycopg.Connection[TupleRow]):
    """A connection on which no statement waits past `deadline` (time.monotonic), even if the server hangs."""

    deadline: float = math.inf
    # The pool's notes, by the same clock: when the connection was taken from psycopg's, and last given back.
    taken_at: float = 0.0
    given_at: float = 0.0

    def wait(self, gen: PQGen[RV], interval: float = _WAIT_INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        if timeout is None and self.deadline != math.inf:
            timeout = max(0.0, self.deadline - time.monotonic())
        return super().wait(gen, interval, timeout)
