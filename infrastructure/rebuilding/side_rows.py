"""A rebuild's rows and its row of `rebuilds`: each method is a transaction, or a part of one, for a Database."""

from typing import NamedTuple
from uuid import uuid4

import psycopg

from keyledger.domain.errors import RebuildRefused
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.following.place import Place
from keyledger.infrastructure.following.positions import BATCH_EVENTS
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.rebuilding import side_tables
from keyledger.infrastructure.rebuilding.live import Live, between, is_inline, live, waiting
from keyledger.infrastructure.rebuilding.rows_digest import rows_digest

_LOCK_MILLISECONDS = 150
"""So long a switch waits for a lock, and whoever comes after it with it, before it makes way again."""


class InUse(Exception):
    """Somebody holds a lock on the live tables."""


class Comparison(NamedTuple):
    """The version and position of the live tables, and the digests of both there."""

    version: int
    position: int
    old: str
    new: str


class SideRows:
    """The new rows of one rebuild. A transaction whose token is not the rebuild's any more changes nothing."""

    def __init__(self, codec: EventCodec, model: ReadModel) -> None:
        self._codec = codec
        self._model = model
        self._key = {"name": model.name, "token": uuid4()}

    def place(self, model: ReadModel) -> Place:
        """For the runner that fills them."""
        names = "find_rebuild", "lock_rebuild", "move_rebuild", "stop_rebuild"
        return Place(*names, self._key, lambda connection: side_tables.tables(model, connection))

    def hold(self, connection: DeadlineConnection) -> None:
        """Until the transaction ends, keep other rebuilds of the read model from beginning. Raises RebuildRefused.

        That is politeness: what keeps two of them from mixing their rows is the token.
        """
        if connection.execute(QUERIES["hold_rebuild"], self._key).fetchone() != (True,):
            raise RebuildRefused(f"the read model {self._model.name!r} is being rebuilt already")

    def begin(self, connection: DeadlineConnection) -> None:
        """Empty tables; what an earlier rebuild left is gone."""
        with connection.transaction():
            connection.execute(QUERIES["begin_rebuild"], {**self._key, "version": self._model.version})
            side_tables.create(connection, self._model)

    def abandon(self, connection: DeadlineConnection) -> None:
        """Remove them, unless they are the live ones."""
        with connection.transaction():
            if connection.execute(QUERIES["abandon_rebuild"], self._key).rowcount:
                side_tables.drop(connection, self._model)

    def position(self, connection: DeadlineConnection) -> int:
        """How far they have come. Raises RebuildRefused."""
        row = connection.execute(QUERIES["find_rebuild"], self._key).fetchone()
        if row is None:
            raise self._taken_over()
        return int(row[0])

    def compare(self, connection: DeadlineConnection) -> Comparison:
        """In one snapshot bring them to where the live ones are, and take both digests. Raises RebuildRefused."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SET LOCAL statement_timeout = 0")
            found = live(connection, self._model)
            self._bring(connection, found.position)
            old = rows_digest(connection, self._model.tables)
            new = rows_digest(connection, self._model.tables, suffix=side_tables.SUFFIX)
            return Comparison(found.version, found.position, old, new)

    def switch(self, connection: DeadlineConnection) -> int | None:
        """Put them in the live ones' places, and return the position; None where they are too far behind for that.

        Done twice it does it once. Raises InUse, RebuildRefused.
        """
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}")
                return self._switched(connection)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            raise InUse from error
        except psycopg.errors.DependentObjectsStillExist as error:
            detail = next(iter((error.diag.message_detail or "").splitlines()), "")
            raise RebuildRefused(
                f"something depends on the tables of {self._model.name!r}, which a rebuild replaces: {detail}"
            ) from None

    def _switched(self, connection: DeadlineConnection) -> int | None:
        position, _, is_done = self._locked(connection)
        if is_done:
            return position
        until = max(position, self._fixed(connection).position)
        if until - position > BATCH_EVENTS:
            return None
        state = self._bring(connection, until)
        if not is_inline(self._model):
            side_tables.lock_live(connection, self._model)
            moved = {"version": self._model.version, "position": until, "state": state}
            connection.execute(QUERIES["replace_projection"], {"name": self._model.name, **moved})
        side_tables.switch(connection, self._model)
        connection.execute(QUERIES["end_rebuild"], self._key)
        return until

    def _fixed(self, connection: DeadlineConnection) -> Live:
        """Where the live tables are, which nobody can change until this transaction ends.

        Nor may what has no position get one: it would be neither among the events up to here nor in the outbox.
        """
        if is_inline(self._model):
            side_tables.lock_live(connection, self._model)
            connection.execute(QUERIES["hold_sequencer"])
        else:
            connection.execute(QUERIES["lock_any_projection"], self._key)
        return live(connection, self._model)

    def _bring(self, connection: DeadlineConnection, until: int) -> bytes | None:
        """Apply the events up to a position, and what the live tables hold beyond it; returns the fold's state."""
        began, state, _ = self._locked(connection)
        into = side_tables.tables(self._model, connection)
        for events in between(connection, self._codec, began, until):
            state = self._model.apply(into, state, events)
        for events in waiting(connection, self._codec, self._model, until):
            self._model.apply(into, state, events)
        moved = {**self._key, "expected": began, "position": until, "state": state}
        connection.execute(QUERIES["move_rebuild"], moved)
        return state

    def _locked(self, connection: DeadlineConnection) -> tuple[int, bytes | None, bool]:
        row = connection.execute(QUERIES["lock_rebuild"], self._key, binary=True).fetchone()
        if row is None:
            raise self._taken_over()
        return row[0], row[1], row[2]

    def _taken_over(self) -> RebuildRefused:
        return RebuildRefused(f"another rebuild of the read model {self._model.name!r} has taken over")
