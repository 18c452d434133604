"""Which keys a question about the past is about, in batches, out of the events and their positions alone."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.moment import BEFORE_EVENTS, CLOCKS_APART, Moment

BATCH_KEYS = 200

_SET_BACK = timedelta(minutes=1)  # by so much the database's clock may ever have been, at a failover
_FIRST = UUID(int=0)


class PastKeys:
    """Finds keys, no key twice, in lists of which each is a statement of its own.

    Every moment has a position here: what comes after it is not found.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def created(self, moment: Moment) -> Iterator[list[UUID]]:
        """At least the keys that existed, by the positions of their creations, or at a time by their recording."""
        if moment.time is None:
            yield from self._by_position("select_created", 0, moment.position)
        else:
            until = moment.time + CLOCKS_APART
            yield from self._by_time("select_created_by_time", BEFORE_EVENTS, until, moment.position)

    def owned(self, subject: str) -> Iterator[list[UUID]]:
        """The keys that were ever a subject's, in the order of their ids."""
        after = _FIRST
        while rows := self._rows("select_owned", {"subject": subject, "after": after}):
            yield [key_id for (key_id,) in rows]
            after = rows[-1][0]

    def changed(self, start: Moment, end: Moment, subject: str | None) -> Iterator[list[UUID]]:
        """At least the keys with lifecycle events from one moment to another, in the order of the last of these.

        With a subject no others than those that were ever the subject's.
        """
        if start.time is None or end.time is None:
            yield from self._by_position("select_changed", start.position, end.position, subject=subject)
        else:
            since, until = start.time - CLOCKS_APART - _SET_BACK, end.time + CLOCKS_APART
            yield from self._by_time("select_changed_by_time", since, until, end.position, subject=subject)

    def expiring(self, start: Moment, end: Moment, subject: str | None) -> Iterator[list[tuple[UUID, datetime]]]:
        """The keys that were ever to expire from one moment to another, with when, in that order.

        A key that was to expire at several times is found for each.
        """
        span = {"since": start.judged_at, "until": end.judged_at, "subject": subject}
        after_time, after = start.judged_at, _FIRST
        while rows := self._rows("select_expiring", {**span, "after_time": after_time, "after": after}):
            yield [(key_id, expiration) for expiration, key_id in rows]
            after_time, after = rows[-1]

    def _by_position(self, query: str, after: int | None, until: int | None, **more: Any) -> Iterator[list[UUID]]:
        while rows := self._rows(query, {"after": after, "until": until, **more}):
            yield [key_id for _, key_id in rows]
            after = rows[-1][0]

    def _by_time(
        self, query: str, since: datetime, until: datetime, position: int | None, **more: Any
    ) -> Iterator[list[UUID]]:
        after_time, after = since, 0
        fixed = {"since": since, "until": until, "position": position, **more}
        while rows := self._rows(query, {**fixed, "after_time": after_time, "after": after}):
            yield [key_id for *_, key_id in rows]
            after_time, after = rows[-1][:2]

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> list[TupleRow]:
        """Never prepared: which plan is good depends on the span."""
        statement, bounded = QUERIES[query], {**parameters, "limit": BATCH_KEYS}
        return self._database.run(
            lambda connection: connection.execute(statement, bounded, prepare=False, binary=True).fetchall()
        )
