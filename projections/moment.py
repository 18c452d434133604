"""Moments of the past: which of a key's events held then, and what the key was."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import accumulate, takewhile
from typing import get_args
from uuid import UUID

import msgspec

from keyledger.domain.api_key import APIKey, evolve
from keyledger.domain.events import Event, KeyUsed, StoredEvent
from keyledger.domain.use import Outcome

CLOCKS_APART = timedelta(seconds=10)
"""By so much a service's clock may differ from the database's and still be believed."""

_VALID = get_args(Outcome).index("valid")


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A moment: the events up to a position, of which those hold that were in effect at a time.

    `time` is None where all of them hold. `judged_at` is when a key counts as expired or not.
    """

    position: int
    time: datetime | None
    judged_at: datetime


class PastEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored: its place in its stream, when the database recorded it, and the latest accepted
    use of its key up to it."""

    originator_id: UUID
    originator_version: int
    recorded_at: datetime
    last_used_at: datetime | None
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
    """A stream's events with the moment from which each held, which within a stream never goes back."""
    latest: datetime | None = None
    for past in events:
        moment = past.event.occurred_at
        if abs(moment - past.recorded_at) > CLOCKS_APART:
            moment = past.recorded_at  # since that is when the ledger knew
        latest = moment if latest is None else max(latest, moment)
        yield latest, past


def held(events: Iterable[PastEvent], time: datetime | None) -> Iterator[PastEvent]:
    """Of a stream's events those that held at a time; with None all."""
    for _, past in takewhile(lambda found: time is None or found[0] <= time, in_effect(events)):
        yield past


def key_of(events: Iterable[PastEvent]) -> APIKey | None:
    """The key that its lifecycle events make."""
    key = None
    for past in events:
        key = evolve(key, past.stored)
    return key


def fold(events: Iterable[PastEvent]) -> PastKey | None:
    """The key that all its events make, uses and all."""
    key, last = None, None
    for past in events:
        if isinstance(past.event, KeyUsed):
            last = max(filter(None, (last, *accepted(past.event))), default=None)
        else:
            key = evolve(key, past.stored)
    return None if key is None else PastKey(key=key, last_used_at=last)


def accepted(event: KeyUsed) -> Iterator[datetime]:
    """When each accepted use was, in the order of recording."""
    moments = accumulate(row[0] for row in event.rows)
    for microseconds, row in zip(moments, event.rows, strict=True):
        if row[1] == _VALID:
            yield event.occurred_at + timedelta(microseconds=microseconds)


def latest_use(events: Iterable[KeyUsed], until: datetime) -> datetime | None:
    """The latest accepted use that was not after a moment."""
    return max((use for event in events for use in accepted(event) if use <= until), default=None)


def is_expired(key: APIKey, moment: datetime) -> bool:
    """Whether the key has expired at a moment."""
    return key.expiration is not None and key.expiration <= moment
