"""Reading the past: keys at a moment, out of the events alone.

What is read of a key is its few lifecycle events and, for its last use before a time, the events close to that
time, which are found by halving. So neither the uses of the key nor other keys make a difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import TupleRow

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import Event, KeyUsed
from keyledger.domain.ids import key_id_text
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.moment import Moment, PastEvent, PastKey, held, key_of, latest_use

_EVENTS_FIRST, _EVENTS = 100, 1_000
_USES_FIRST, _USES = 4, 100  # events, each with as many as 12,000 uses
_ON_TIME = timedelta(0)


class _Place(NamedTuple):
    """Where in a stream a moment is, in the order of the columns that find_pasts.sql returns."""

    id: UUID
    version: int
    lateness: timedelta | None
    last_used_at: datetime | None
    later_version: int | None


class Past:
    """Reads keys as they were. Everything raises LedgerUnavailable, and UnreadableEvent, with its place."""

    def __init__(self, database: Database, codec: EventCodec) -> None:
        self._database = database
        self._codec = codec

    def recorded_at(self, position: int) -> datetime | None:
        """When the database recorded the event at a position; None where there is none."""
        rows = self._rows("find_position", {"position": position})
        return rows[0][0] if rows else None

    def keys(self, ids: Sequence[UUID], moment: Moment) -> dict[UUID, PastKey]:
        """The keys at a moment; one that did not exist then is not among them."""
        parameters = {"ids": list(ids), "position": moment.position, "time": moment.time}
        places = {row[0]: _Place(*row) for row in self._rows("find_pasts", parameters)}
        spans = [(place.id, 0, place.version) for place in places.values()]
        found: dict[UUID, PastKey] = {}
        for key_id, events in self.lifecycles(spans):
            key = key_of(held(events, moment.time))
            if key is not None:
                found[key_id] = PastKey(key=key, last_used_at=self._last_used_at(places[key_id], moment.time))
        return found

    def lifecycles(self, spans: Sequence[tuple[UUID, int, int]]) -> Iterator[tuple[UUID, Iterator[PastEvent]]]:
        """The lifecycle events of keys, of each those after a version and up to another; consume each in its turn.

        A key without any is left out.
        """
        untils = {key_id: until for key_id, _, until in spans}
        rows = self._lifecycle_rows(spans, _EVENTS_FIRST)
        for key_id, some in groupby(rows, key=lambda row: row[0]):
            yield key_id, self._continued(list(some), untils[key_id])

    def positions(self, events: Sequence[PastEvent]) -> dict[tuple[UUID, int], int]:
        """The positions of lifecycle events, by key and version."""
        parameters = {
            "ids": [past.originator_id for past in events],
            "versions": [past.originator_version for past in events],
        }
        return {(key_id, version): place for key_id, version, place in self._rows("find_positions", parameters)}

    def stream(self, key_id: UUID) -> Iterator[PastEvent]:
        """Every event of a key, uses and all: what everything quicker must agree with."""
        after = 0
        while True:
            rows = self._rows("load_stream", {"id": key_id, "after": after, "limit": _EVENTS})
            for version, recorded_at, topic, state in rows:
                yield self._event(key_id, version, recorded_at, topic, state)
            if len(rows) < _EVENTS:
                return
            after = rows[-1][0]

    def _lifecycle_rows(self, spans: Sequence[tuple[UUID, int, int]], limit: int) -> list[TupleRow]:
        parameters = {
            "ids": [key_id for key_id, _, _ in spans],
            "afters": [after for _, after, _ in spans],
            "untils": [until for _, _, until in spans],
            "limit": limit,
        }
        return self._rows("load_lifecycles", parameters)

    def _continued(self, rows: list[TupleRow], until: int) -> Iterator[PastEvent]:
        """A key's first events, and those after them."""
        limit = _EVENTS_FIRST
        while True:
            for row in rows:
                yield self._event(*row)
            if len(rows) < limit:
                return
            key_id, last = rows[-1][:2]
            limit = _EVENTS
            rows = self._lifecycle_rows([(key_id, last, until)], limit)

    def _last_used_at(self, place: _Place, time: datetime | None) -> datetime | None:
        """The latest accepted use that was not after a time.

        An event begins before the latest use of the events before it by no more than the lateness that is on
        record: those that can hold a use before the time stand close together.
        """
        latest = before = place.last_used_at
        first, limit = place.later_version, _USES_FIRST
        while first is not None and time is not None:
            parameters = {"id": place.id, "first": first, "until": place.version, "limit": limit}
            rows = self._rows("load_uses", parameters)
            for version, used_at, lateness, topic, state in rows:
                if before is not None and before - (place.lateness or _ON_TIME) > time:
                    return latest
                if topic == KeyUsed.topic and not (before and before - (lateness or _ON_TIME) > time):
                    latest = _later(latest, self._use(place.id, version, state, time))
                before = used_at
            first, limit = (rows[-1][0] + 1, _USES) if len(rows) == limit else (None, limit)
        return latest

    def _use(self, key_id: UUID, version: int, state: bytes, time: datetime) -> datetime | None:
        event = self._decoded(key_id, version, KeyUsed.topic, state)
        assert isinstance(event, KeyUsed)
        return latest_use(event, time)

    def _event(self, key_id: UUID, version: int, recorded_at: datetime, topic: str, state: bytes) -> PastEvent:
        event = self._decoded(key_id, version, topic, state)
        return PastEvent(originator_id=key_id, originator_version=version, recorded_at=recorded_at, event=event)

    def _decoded(self, key_id: UUID, version: int, topic: str, state: bytes) -> Event:
        try:
            return self._codec.decode(topic, state)
        except UnreadableEvent as error:
            raise UnreadableEvent(f"{key_id_text(key_id)}, version {version}: {error}") from None

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> list[TupleRow]:
        statement = QUERIES[query]
        return self._database.run(
            lambda connection: connection.execute(statement, parameters, binary=True).fetchall()
        )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)
