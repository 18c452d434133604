"""The feed's own connection: a question four times a second, and notifications in between."""

import os
import select
import time
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.verifying.feed import REGISTERED_SECONDS, Answer, Question

CHANNEL = "keyledger_control"

_KEYS_PER_NOTIFICATION = 300  # a payload is shorter than 8,000 bytes


class HasFileno(Protocol):
    """Something to wait for."""

    def fileno(self) -> int: ...


class FeedLink:
    """A session of its own, since what LISTENs cannot be lent by a pool. For one thread.

    Every method raises psycopg.Error; after that the link is to be closed, and connects again at the next
    question.
    """

    def __init__(self, database: Database, *, listen: bool, wait_seconds: float) -> None:
        """Behind a pooler that hands sessions to others, nothing can be listened to. No answer is waited for
        longer.
        """
        self._database = database
        self._listen = listen
        self._wait_seconds = wait_seconds
        self._connection: DeadlineConnection | None = None

    def ask(self, question: Question) -> Answer:
        """The answer to a question."""
        row = self._run("ask_feed", {"after": question.after, "verifier": question.verifier}).fetchone()
        assert row is not None
        return Answer(*row)

    def register(self, question: Question, lease_seconds: float) -> None:
        """Register the verifier, or register it for longer."""
        parameters = {
            "verifier": question.verifier,
            "seconds": REGISTERED_SECONDS,
            "lease_seconds": lease_seconds,
        }
        self._run("register_verifier", parameters)

    def acknowledge(self, question: Question, answer: Answer) -> None:
        """Say that the verifier has seen the barrier of an answer, to the server that answered."""
        parameters = {"verifier": question.verifier, "barrier": answer.barrier, "server": answer.server}
        self._run("acknowledge_barrier", parameters)

    def leave(self, verifier: UUID) -> None:
        """Say that the verifier decides no more; only where there is a connection to say it on."""
        if self._connection is not None:
            self._run("leave_verifiers", {"verifier": verifier})

    def announce(self, digits: Sequence[str]) -> None:
        """Tell every verifier that these keys changed."""
        self._run("announce_changes", {"changes": payloads(digits)})

    def wait(self, seconds: float, wake: HasFileno) -> list[str]:
        """The notifications' payloads; returns when some came, when `wake` is readable, or when time is over."""
        connection = self._connection
        ready = [wake] if connection is None or not self._listen else [wake, connection]
        readable, _, _ = select.select(ready, [], [], max(0.0, seconds))
        if connection is None or connection not in readable:
            return []
        connection.deadline = time.monotonic() + self._wait_seconds
        return [notification.payload for notification in connection.notifies(timeout=0)]

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """In a forked child: leave the parent's socket alone."""
        _inherited.append((os.getpid(), self._connection))
        self._connection = None

    def _run(self, query: str, parameters: dict[str, Any]) -> Any:
        connection = self._connected()
        connection.deadline = time.monotonic() + self._wait_seconds
        return connection.execute(QUERIES[query], parameters)

    def _connected(self) -> DeadlineConnection:
        if self._connection is None:
            self._connection = self._database.connect(self._wait_seconds)
            if self._listen:
                self._connection.execute(f"LISTEN {CHANNEL}".encode())
        return self._connection


def payloads(digits: Sequence[str]) -> list[str]:
    """Notifications that name these keys."""
    starts = range(0, len(digits), _KEYS_PER_NOTIFICATION)
    return [",".join(digits[start : start + _KEYS_PER_NOTIFICATION]) for start in starts]


_inherited: list[Any] = []  # collecting a connection of the parent's would end it for the parent
