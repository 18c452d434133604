"""Moments of the past: which of a key's lifecycle events held then, and what the key was."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import get_args
from uuid import UUID

import msgspec

from keyledger.domain.api_key import APIKey, evolve
from keyledger.domain.events import Event, KeyUsed, StoredEvent
from keyledger.domain.microseconds import EPOCH, MICROSECOND
from keyledger.domain.use import Outcome

CLOCKS_APART = timedelta(seconds=10)
"""By so much a service's clock may differ from the database's and still be believed."""

BEFORE_EVENTS = EPOCH
"""A time before any event."""

_VALID = get_args(Outcome).index("valid")


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A moment: the events up to a position, of which those hold that were in effect at a time.

    `position` is None where a key is read to the head of its stream, `time` where every event up to the position
    holds. `judged_at` is when a key counts as expired or not.
    """

    position: int | None
    time: datetime | None
    judged_at: datetime


class PastEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored: its place in its stream, and when the database recorded it."""

    originator_id: UUID
    originator_version: int
    recorded_at: datetime
    event: Event

    @property
    def stored(self) -> StoredEvent:
        """The event for the domain's fold."""
        return StoredEvent(
            originator_id=self.originator_id, originator_version=self.originator_version, event=self.event
        )


class PastKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it was, and the latest accepted use of it."""

    key: APIKey
    last_used_at: datetime | None


def in_effect(events: Iterable[PastEvent]) -> Iterator[tuple[datetime, PastEvent]]:
    """A key's lifecycle events with the moment from which each held, which within a stream never goes back.

    That is the service's time, or the database's where the two differ too much to believe the service's.
    """
    latest: datetime | None = None
    for past in events:
        moment = past.event.occurred_at
        if abs(moment - past.recorded_at) > CLOCKS_APART:
            moment = past.recorded_at  # since that is when the ledger knew
        latest = moment if latest is None else max(latest, moment)
        yield latest, past


def held(events: Iterable[PastEvent], time: datetime | None) -> Iterator[PastEvent]:
    """Of a key's lifecycle events those that held at a time; with None all."""
    if time is None:
        yield from events
        return
    for _, past in takewhile(lambda found: found[0] <= time, in_effect(events)):
        yield past


def key_of(events: Iterable[PastEvent]) -> APIKey | None:
    """The key that its lifecycle events make."""
    key = None
    for past in events:
        key = evolve(key, past.stored)
    return key


def fold(events: Iterable[PastEvent]) -> PastKey | None:
    """The key that all the events of a stream make, uses and all."""
    key, last = None, None
    for past in events:
        if isinstance(past.event, KeyUsed):
            use = latest_use(past.event)
            if use is not None and (last is None or use > last):
                last = use
        else:
            key = evolve(key, past.stored)
    return None if key is None else PastKey(key=key, last_used_at=last)


def latest_use(event: KeyUsed, until: datetime | None = None) -> datetime | None:
    """The latest accepted use in an event; with `until`, of those that were not after it."""
    most = None if until is None else (until - event.occurred_at) // MICROSECOND
    columns = event.columns
    accepted = (
        offset
        for offset, outcome in zip(columns.offsets(), columns.each(columns.outcome), strict=True)
        if outcome == _VALID and (most is None or offset <= most)
    )
    last = max(accepted, default=None)
    return None if last is None else event.occurred_at + timedelta(microseconds=last)


def is_expired(key: APIKey, moment: datetime) -> bool:
    """Whether the key has expired at a moment."""
    return key.expiration is not None and key.expiration <= moment
