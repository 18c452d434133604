"""psycopg's pool, with the connections that were used last kept at hand.

psycopg_pool hands out the connection that rested longest, behind a lock that each call takes twice. Here the one
that rested least comes first, with no lock (a list's pop and append are atomic), and the pool keeps its work: to
connect, to reconnect, to have callers wait in line, to shrink, to retire the old.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool

from keyledger.infrastructure.connection import DeadlineConnection

_LOAN_SECONDS = 300.0
_RECONNECT_SECONDS = 0.2  # then psycopg tries no more until somebody asks, and at once when somebody does
_IDLE_SECONDS = 10.0


class Pool:
    """Lends connections, the one that was used last first."""

    def __init__(
        self,
        conninfo: str,
        options: dict[str, Any],
        max_connections: int,
        configure: Callable[[DeadlineConnection], None],
    ) -> None:
        self._pool = ConnectionPool(
            conninfo,
            connection_class=DeadlineConnection,
            kwargs=options,
            configure=configure,
            min_size=1,
            max_size=max_connections,
            reconnect_timeout=_RECONNECT_SECONDS,
            num_workers=2,
            open=True,
            name="keyledger",
        )
        self._at_hand: list[DeadlineConnection] = []
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False

    def take(self, timeout_seconds: float) -> DeadlineConnection:
        """A connection. Raises PoolTimeout, PoolClosed."""
        with suppress(IndexError):
            return self._at_hand.pop()
        self._count_waiting(1)
        try:
            with suppress(IndexError):  # one that was given back before we were counted
                return self._at_hand.pop()
            connection = self._pool.getconn(timeout_seconds)
            connection.taken_at = time.monotonic()
            return connection
        finally:
            self._count_waiting(-1)

    def give_back(self, connection: DeadlineConnection) -> None:
        """The end of a loan."""
        now = time.monotonic()
        if (
            self._closed
            or connection.pgconn.transaction_status != TransactionStatus.IDLE
            or now - connection.taken_at > _LOAN_SECONDS
        ):
            self._pool.putconn(connection)
            return
        connection.given_at = now
        self._at_hand.append(connection)
        if self._waiting or self._closed:  # asked after the giving, as who waits looks after being counted
            self._put_away(1)
            return
        with suppress(IndexError):  # another thread may have emptied it
            if now - self._at_hand[0].given_at > _IDLE_SECONDS:
                self._put_away(1)

    def drain(self) -> None:
        """Replace every connection that is idle now."""
        self._pool.drain()
        self._put_away(len(self._at_hand))

    def close(self) -> None:
        """Close every connection; one that is out is closed when it is given back."""
        self._closed = True
        self._put_away(len(self._at_hand))
        self._pool.close()

    def _put_away(self, count: int) -> None:
        """Give the pool those that rested longest."""
        with suppress(IndexError):
            for _ in range(count):
                self._pool.putconn(self._at_hand.pop(0))

    def _count_waiting(self, change: int) -> None:
        with self._lock:
            self._waiting += change
