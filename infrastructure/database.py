"""Connections to PostgreSQL: pooled, bound by a deadline, renewed after a failure and after fork."""

import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from keyledger.domain.errors import KeyLedgerError, LedgerClosed, LedgerUnavailable
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.conninfo import check_conninfo
from keyledger.infrastructure.pool import Pool
from keyledger.infrastructure.reasons import reason_of, unconnected

T = TypeVar("T")

_log = logging.getLogger("keyledger.database")

_called_at: ContextVar[float | None] = ContextVar("keyledger_called_at", default=None)

_RETRY_PAUSE_SECONDS = 0.05
_ASK_AGAIN_SECONDS = 0.5
_RECOVERING = ("the database system is", "server closed the connection")
PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,  # this process was stopped for long
    psycopg.errors.InvalidSqlStatementName,  # a pooler forgot what was prepared
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.ReadOnlySqlTransaction,  # a failover, or a disk that was full
)
"""Errors that another try on another connection may not meet."""


class one_call:  # noqa: N801 - written as contextlib's are
    """Whatever runs within counts against one time-out, from `called_at` (time.monotonic; default: now)."""

    __slots__ = ("_called_at", "_token")

    def __init__(self, called_at: float | None = None) -> None:
        self._called_at = called_at

    def __enter__(self) -> None:
        self._token = _called_at.set(_called_at.get() or self._called_at or time.monotonic())

    def __exit__(self, *_: object) -> None:
        _called_at.reset(self._token)


class Database:
    """A pool of connections and the rule for losing one: try again until the time-out, then LedgerUnavailable."""

    def __init__(
        self,
        conninfo: str,
        *,
        max_connections: int = 20,
        timeout_seconds: float = 5.0,
        prepared_statements: bool = True,
        ensure_running: Callable[[], None] | None = None,
    ) -> None:
        """`ensure_running` is called, in a thread of its own, when the server seems to be gone."""
        check_conninfo(conninfo)
        self._conninfo = conninfo
        self._max_connections = max_connections
        self.timeout_seconds = timeout_seconds
        self._options: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": 2 if prepared_statements else None,
            "connect_timeout": max(2, math.ceil(timeout_seconds)),
            "application_name": "keyledger",
            "client_encoding": "UTF8",
        }
        self._ensure_running = ensure_running
        self._reviving = threading.Lock()
        self._lock = threading.Lock()
        self._pool: Pool | None = None
        self._closed = False
        _databases.add(self)

    def probe(self) -> None:
        """Connect once, apart from the pool, whose error would not say why PostgreSQL cannot be reached.

        A server that is starting up or recovering is waited for, until the time-out. Raises LedgerUnavailable.
        """
        deadline = time.monotonic() + self.timeout_seconds
        while True:
            try:
                DeadlineConnection.connect(self._conninfo, **self._options).close()
            except psycopg.Error as error:
                # A refused connection has no SQLSTATE to tell by; in another language this one is not waited for.
                if not any(each in str(error) for each in _RECOVERING) or time.monotonic() >= deadline:
                    raise LedgerUnavailable(unconnected(error)) from None
                time.sleep(_RETRY_PAUSE_SECONDS)
            else:
                return

    def connect(self, wait_seconds: float) -> DeadlineConnection:
        """A connection of the caller's own, apart from the pool. Raises psycopg.Error, LedgerClosed."""
        if self._closed:
            raise LedgerClosed("the ledger was closed")
        options = {**self._options, "connect_timeout": max(2, math.ceil(wait_seconds))}
        connection = DeadlineConnection.connect(self._conninfo, **options)
        try:
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        connection.deadline = time.monotonic() + wait_seconds
        return connection

    def run(self, work: Callable[[DeadlineConnection], T], *, work_seconds: float | None = None) -> T:
        """What `work` returns, given a connection in autocommit mode.

        A lost connection has `work` called again: it must be such that doing it twice does it once. What it does
        about a UniqueViolation is its own affair.
        `work_seconds` is how long PostgreSQL may take for it (default: the time-out); for a connection, and for
        another one after a loss, the wait is never longer than the time-out.
        Raises LedgerUnavailable when that has passed, LedgerClosed after close.
        """
        deadline = (_called_at.get() or time.monotonic()) + self.timeout_seconds
        reason, said = "the call had to wait for others", False
        while time.monotonic() < deadline:
            pool = self._opened()
            try:
                return self._attempt(pool, work, deadline, work_seconds)
            except PoolClosed:
                raise LedgerClosed("the ledger was closed") from None
            except psycopg.errors.UniqueViolation:
                raise
            except PASSING as error:
                if error.sqlstate or not said:  # what the server said tells more than that time ran out after it
                    reason, said = reason_of(error), error.sqlstate is not None
                if time.monotonic() >= deadline and not isinstance(error, PoolTimeout):
                    pool.drain()  # the network may have forgotten the idle connections as well
            except psycopg.Error as error:
                raise LedgerUnavailable(f"PostgreSQL refused: {reason_of(error)}") from None
            self.revive()
            time.sleep(_RETRY_PAUSE_SECONDS)
        raise LedgerUnavailable(f"PostgreSQL did not answer within {self.timeout_seconds:g} s: {reason}")

    @contextmanager
    def apart(self) -> Iterator[DeadlineConnection]:
        """A connection that is none of the pool's, for what keeps something in its session.

        With no deadline, no time-outs, and no second try: what it kept would be gone. Raises LedgerUnavailable.
        """
        try:
            with DeadlineConnection.connect(self._conninfo, **self._options) as connection:
                connection.execute(
                    "SET standard_conforming_strings = on; SET array_nulls = on; SET datestyle = ISO;"
                    " SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
                )
                yield connection
        except psycopg.Error as error:
            raise LedgerUnavailable(f"PostgreSQL failed in the middle: {reason_of(error)}") from None

    def remaining_seconds(self) -> float:
        """How long this call may still wait."""
        return max(0.0, (_called_at.get() or time.monotonic()) + self.timeout_seconds - time.monotonic())

    def close(self) -> None:
        """Close every connection; calls after this raise LedgerClosed."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _attempt(
        self,
        pool: Pool,
        work: Callable[[DeadlineConnection], T],
        deadline: float,
        work_seconds: float | None,
    ) -> T:
        # Short waits: it is asking that makes the pool try to connect again.
        wait = min(_ASK_AGAIN_SECONDS, max(0.0, deadline - time.monotonic()))
        connection = pool.take(wait)
        connection.deadline = deadline if work_seconds is None else time.monotonic() + work_seconds
        try:
            return work(connection)
        except psycopg.errors.UniqueViolation:
            raise
        except psycopg.Error:
            connection.close()  # alive or not: its session may be what is wrong
            raise
        finally:
            pool.give_back(connection)

    def _opened(self) -> Pool:
        pool = self._pool
        if pool is not None:
            return pool
        with self._lock:
            if self._closed:
                raise LedgerClosed("the ledger was closed")
            if self._pool is None:
                self._pool = Pool(self._conninfo, self._options, self._max_connections, self._configure)
            return self._pool

    def _configure(self, connection: DeadlineConnection) -> None:
        """Have a session behave as we expect, whatever the database's or the role's own defaults.

        Not behind a pooler that hands the session to others: there, these are the operator's to set.
        """
        connection.deadline = time.monotonic() + self.timeout_seconds
        if self._options["prepare_threshold"] is not None:
            # A statement or a transaction that nobody goes on with must not hold on to its session, or its locks.
            abandoned_ms = math.ceil((self.timeout_seconds + 1) * 1000)
            connection.execute(
                "SET standard_conforming_strings = on; SET array_nulls = on; SET datestyle = ISO; SET jit = off;"
                " SET plan_cache_mode = auto; SET default_transaction_isolation = 'read committed';"
                f" SET statement_timeout = {abandoned_ms};"
                f" SET idle_in_transaction_session_timeout = {abandoned_ms}"
            )

    def revive(self) -> None:
        """Have the server looked after; it may recover for longer than a call waits."""
        if self._ensure_running is not None and self._reviving.acquire(blocking=False):
            threading.Thread(target=self._run_ensure_running, name="keyledger-revive", daemon=True).start()

    def _run_ensure_running(self) -> None:
        assert self._ensure_running is not None
        try:
            self._ensure_running()
        except KeyLedgerError as error:
            _log.warning("%s", error)
        finally:
            self._reviving.release()

    def _forget(self) -> None:
        """In a forked child: leave the parent's sockets alone and open others at the next call."""
        _inherited.append(self._pool)
        self._pool = None
        self._lock = threading.Lock()
        self._reviving = threading.Lock()


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: list[Any] = []  # collecting a pool of the parent's would end its workers, which are not here


def _after_fork() -> None:
    for database in _databases:
        database._forget()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
