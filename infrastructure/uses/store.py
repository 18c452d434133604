"""Storing flushes of uses: each once, however often that is tried and by whom.

Uses come from sources, each with an id and a count of its own: the flushes of a process, or the bytes of its
spool. The ledger keeps how far a source is stored, and moves that in the transaction that stores.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import UUID

import psycopg

from keyledger.domain.errors import KeyLedgerError
from keyledger.domain.events import UsesLost
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.instruments.traces import span
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.uses.buffer import Flush

_log = logging.getLogger("keyledger.uses")

_COLLISION_PAUSE_SECONDS = 0.005
_PRUNE_SECONDS = 3600.0


class UseStore:
    """The ledger's side of recording uses; what it counts is of this process."""

    def __init__(self, database: Database, committed: Callable[[], None]) -> None:
        """`committed` is told of each flush."""
        self._database = database
        self._committed = committed
        self._prune_at = time.monotonic()
        self.flushes = 0
        self.uses_stored = 0
        self.uses_lost = 0
        self.last_flush_seconds = 0.0
        self.flush_seconds = 0.0

    def store(self, source: UUID, until: int, flush: Flush, *, start: int | None = None) -> bool:
        """Append the events, if the source's progress is at `start`, or with None anywhere below `until`.

        The progress is `until` then. Returns whether it was so; if not, and without `start`, this flush was stored
        before. Raises LedgerUnavailable.
        """
        parameters = {
            "source": source,
            "start": start,
            "until": until,
            "topic": flush.topic,
            "ids": [entry.key_id for entry in flush.entries],
            "states": [entry.state for entry in flush.entries],
            "first_used_ats": [entry.first_used_at for entry in flush.entries],
            "last_used_ats": [entry.last_used_at for entry in flush.entries],
        }
        began = time.monotonic()
        with span("keyledger.flush", {"keyledger.uses": flush.uses, "keyledger.keys": len(flush.entries)}):
            row = self._append(parameters)
        self._committed()
        self.flushes += 1
        self.last_flush_seconds = time.monotonic() - began
        self.flush_seconds += self.last_flush_seconds
        if row is not None or start is None:
            self._count(flush)
        if row is not None and row[0] < len(flush.entries):
            _log.error("the uses of %d keys are lost: their streams are not there", len(flush.entries) - row[0])
        return row is not None

    def progress(self, source: UUID) -> int | None:
        """How far a source is stored: 0 where nothing of it is, None where it is done with.

        Raises LedgerUnavailable.
        """
        parameters = {"source": source}
        row = self._database.run(
            lambda connection: connection.execute(QUERIES["find_flush"], parameters).fetchone()
        )
        return 0 if row is None else row[0]

    def finish(self, *sources: UUID) -> None:
        """Nobody sends more of these. Where that cannot be said now, their rows stay, which do no harm."""
        parameters = {"sources": list(sources)}
        with suppress(KeyLedgerError):
            self._database.run(lambda connection: connection.execute(QUERIES["finish_flushes"], parameters))

    def prune(self) -> None:
        """Now and then forget what is long done with. Raises LedgerUnavailable."""
        if time.monotonic() >= self._prune_at:
            self._database.run(lambda connection: connection.execute(QUERIES["prune_flushes"]))
            self._prune_at = time.monotonic() + _PRUNE_SECONDS

    def _count(self, flush: Flush) -> None:
        if flush.topic == UsesLost.topic:
            self.uses_lost += flush.uses
        else:
            self.uses_stored += flush.uses

    def _append(self, parameters: Mapping[str, object]) -> tuple[int] | None:
        statement = QUERIES["append_used"]
        while True:
            try:
                return self._database.run(lambda connection: connection.execute(statement, parameters).fetchone())
            except psycopg.errors.UniqueViolation:
                # Another writer was at the head of one of these streams: nothing is stored yet, so go again.
                time.sleep(random.uniform(0, _COLLISION_PAUSE_SECONDS))  # noqa: S311


def ledger_id(database: Database) -> UUID:
    """Which ledger a database holds. Raises LedgerUnavailable."""
    row = database.run(lambda connection: connection.execute(QUERIES["find_ledger"]).fetchone())
    assert row is not None
    found: UUID = row[0]
    return found


def sources_of(source: UUID) -> tuple[UUID, UUID]:
    """The two sources of a process: its flushes and its spool."""
    return source, UUID(int=source.int ^ 1)
