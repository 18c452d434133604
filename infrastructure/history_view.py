"""Reading the audit history: what a filter leaves of it, in either direction, from any place on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import TupleRow

from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.events import EVENTS, KeyUsed
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.read_models.history import HistoryModel
from keyledger.projections.history import SPREAD
from keyledger.projections.history_entry import RecordedEvent, moments

TOPICS = tuple(event.topic for event in EVENTS)

_BYTES = 8_000_000
_FEW = 1_000
_ACTOR = ("user_id", "organization_id", "ip_address", "request_id", "credential_id")
_LEADS = ("originator_id", "request_id", "user_id", "ip_address", "organization_id", "subject", "credential_id")
"""What has an index, that which leaves less as a rule first."""


class HistoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: None asks for everything. From `user_id` to `credential_id` it is the actor's.

    `until` is exclusive.
    """

    topics: tuple[str, ...] | None = None
    originator_id: UUID | None = None
    subject: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    ip_address: str | None = None
    request_id: str | None = None
    credential_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, moment: datetime) -> bool:
        """Whether an entry of this moment is within the span of time."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


class Place(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Between two entries: so many of the event at a position are behind, in the direction one goes."""

    position: int
    taken: int = 0


class Span(NamedTuple):
    """The positions in which a span of time lies, but for strays, and the last position of the history."""

    first: int
    last: int
    head: int


class Read(NamedTuple):
    """Events in the direction that was asked for; whether they are all that there are."""

    events: list[RecordedEvent]
    is_all: bool


class HistoryView:
    """The history as far as its read model has come."""

    def __init__(self, database: Database, codec: EventCodec) -> None:
        self._database = database
        self._codec = codec

    def span(self, wanted: HistoryFilter) -> Span:
        """Where to look for what is wanted. Raises LedgerUnavailable where another version keeps the history."""
        parameters = {
            "since": wanted.since,
            "until": wanted.until,
            "spread": SPREAD,
            "name": HistoryModel.name,
            "version": HistoryModel.version,
        }
        rows = self._rows(QUERIES["find_history_span"], parameters)
        if not rows:
            raise LedgerUnavailable("the read model 'history' is another keyledger's: versions differ")
        return Span(*rows[0])

    def read(self, wanted: HistoryFilter, span: Span, place: Place, *, descending: bool, entries: int) -> Read:
        """The events from a place on: so many that they have the entries, no more of them than 8 MB, but one.

        Raises UnreadableEvent.
        """
        lowest, highest = (1, min(span.head, place.position)) if descending else (place.position, span.head)
        parameters = {
            **msgspec.structs.asdict(wanted),
            "topics": list(_topics(wanted)),
            "first": max(span.first, lowest),
            "last": min(span.last, highest),
            "lowest": lowest,
            "highest": highest,
            "entries": entries + place.taken,
            "events": entries + 1,  # the one at the place may have no more of them
            "bytes": _BYTES,
        }
        statement = _statement(self._lead(wanted, parameters), descending=descending)
        rows = self._rows(statement, parameters)
        found = [self._recorded(row) for row in rows]
        counted = sum(len(moments(each.event)) for each in found)
        is_all = counted < parameters["entries"] and len(found) <= entries and _bytes(rows) < _BYTES
        return Read(found, is_all)

    def _lead(self, wanted: HistoryFilter, parameters: Mapping[str, Any]) -> str | None:
        """The filter whose index is walked: of several the first that leaves few events."""
        given = [column for column in _LEADS if getattr(wanted, column) is not None]
        if len(given) < 2:
            return given[0] if given else None
        few = (column for column in given if self._count(column, parameters) < _FEW)
        return next(few, given[0])

    def _count(self, column: str, parameters: Mapping[str, Any]) -> int:
        statement = QUERIES["count_history"].replace("{column}", column)
        ((count,),) = self._rows(statement, {**parameters, "limit": _FEW})
        return int(count)

    def _rows(self, statement: str, parameters: Mapping[str, Any]) -> list[TupleRow]:
        # Unprepared: a plan for any value of the parameters would fit none.
        return self._database.run(
            lambda connection: connection.execute(statement, parameters, prepare=False, binary=True).fetchall()
        )

    def _recorded(self, row: TupleRow) -> RecordedEvent:
        position, originator_id, subject, revoked, recorded_at, topic, state = row
        return RecordedEvent(
            position=position,
            originator_id=originator_id,
            subject=subject,
            revoked=revoked,
            recorded_at=recorded_at,
            event=self._codec.decode(topic, state),
        )


def _topics(wanted: HistoryFilter) -> tuple[str, ...]:
    """The topics to walk: a use has no actor."""
    by_actor = any(getattr(wanted, column) is not None for column in _ACTOR)
    topics = TOPICS if wanted.topics is None else wanted.topics
    return tuple(topic for topic in topics if not (by_actor and topic == KeyUsed.topic))


def _statement(lead: str | None, *, descending: bool) -> str:
    order = "DESC" if descending else "ASC"
    slots = {
        "{lead}": f"h.{lead}, " if lead else "",
        "{value}": f"(SELECT %({lead})s), " if lead else "",
        "{given}": f" AND h.{lead} IS NOT NULL" if lead else "",
        "{lead_order}": f"h.{lead} {order}, " if lead else "",
        "{order}": order,
    }
    statement = QUERIES["select_history"]
    for slot, text in slots.items():
        statement = statement.replace(slot, text)
    return statement


def _bytes(rows: list[TupleRow]) -> int:
    return sum(len(row[-1]) for row in rows)
