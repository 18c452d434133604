"""What differs between two moments of a key: gained, lost, widened or narrowed, and the event that did it.

The difference is the net one: what was done and undone in between is none. A key counts where it is valid, neither
revoked nor expired, and of the subject that is asked about, if one is.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

import msgspec

from keyledger.domain.api_key import APIKey, evolve
from keyledger.projections.moment import Moment, PastEvent, PastKey, in_effect, is_expired

Kind = Literal["gained", "lost", "widened", "narrowed"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference, and the last event that is responsible.

    Of a key that expired, at `moment`, that is the update that had it expire then; None where it was to before.
    """

    kind: Kind
    event: PastEvent | None
    moment: datetime


class _Span(msgspec.Struct, frozen=True, kw_only=True):
    start: Moment
    end: Moment
    subject: str | None

    def counts(self, key: APIKey | None, moment: datetime) -> bool:
        """Whether a key counts at a moment."""
        if key is None or key.revoked_at is not None or key.deleted_at is not None or is_expired(key, moment):
            return False
        return self.subject in (None, key.subject)


def differences(
    before: PastKey | None,
    after: PastKey | None,
    between: Iterable[PastEvent],
    *,
    start: Moment,
    end: Moment,
    subject: str | None,
) -> list[Difference]:
    """The differences of a key, given its lifecycle events from the one moment to the other."""
    span = _Span(start=start, end=end, subject=subject)
    old = None if before is None else before.key
    new = None if after is None else after.key
    kinds = _kinds(span, old, new)
    if not kinds:
        return []
    last = {found.kind: found for found in _marks(span, old, new, between)}
    return [last[kind] for kind in kinds]


def _kinds(span: _Span, old: APIKey | None, new: APIKey | None) -> list[Kind]:
    had, has = span.counts(old, span.start.judged_at), span.counts(new, span.end.judged_at)
    if not had or not has:
        return ["gained"] if has else ["lost"] if had else []
    assert old is not None
    assert new is not None
    kinds: list[Kind] = []
    if _is_wider(new, old):
        kinds.append("widened")
    if _is_wider(old, new):
        kinds.append("narrowed")
    return kinds


def _marks(
    span: _Span, old: APIKey | None, new: APIKey | None, between: Iterable[PastEvent]
) -> Iterator[Difference]:
    """Each time that something changed which the net difference may be owed to, in order."""
    key, since = old, span.start.judged_at
    term: PastEvent | None = None
    for moment, past in _timed(span, between):
        changed = evolve(key, past.stored)
        yield from _expiry(span, key, since, moment, term)
        if key is not None and changed is not None and key.expiration != changed.expiration:
            term = past
        counted, counts = span.counts(key, moment), span.counts(changed, moment)
        if counted != counts:
            yield Difference(kind="gained" if counts else "lost", event=past, moment=moment)
        if key is not None and changed is not None and old is not None and new is not None:
            if _is_wider(changed, key, of=(new, old)):
                yield Difference(kind="widened", event=past, moment=moment)
            if _is_wider(key, changed, of=(old, new)):
                yield Difference(kind="narrowed", event=past, moment=moment)
        key, since = changed, moment
    yield from _expiry(span, key, since, span.end.judged_at, term)


def _timed(span: _Span, between: Iterable[PastEvent]) -> Iterator[tuple[datetime, PastEvent]]:
    """The events with when each held, which is within the span and never goes back."""
    latest = span.start.judged_at
    by_time = span.end.time is not None
    for moment, past in in_effect(between) if by_time else ((past.recorded_at, past) for past in between):
        latest = min(max(latest, moment), span.end.judged_at)
        yield latest, past


def _expiry(
    span: _Span, key: APIKey | None, since: datetime, until: datetime, term: PastEvent | None
) -> Iterator[Difference]:
    """That the key expired between two moments, by the term that an event gave it, or that it had before."""
    if key is not None and key.expiration is not None and span.counts(key, since) and is_expired(key, until):
        yield Difference(kind="lost", event=term, moment=key.expiration)


def _is_wider(key: APIKey, other: APIKey, *, of: tuple[APIKey, APIKey] | None = None) -> bool:
    """Whether a key has scopes or life that another has not; with `of`, such as the first of those has more."""
    whole, part = of or (key, other)
    more = set(whole.scopes) - set(part.scopes)
    if more & (set(key.scopes) - set(other.scopes)):
        return True
    return _outlives(whole, part) and _outlives(key, other)


def _outlives(key: APIKey, other: APIKey) -> bool:
    if other.expiration is None:
        return False
    return key.expiration is None or key.expiration > other.expiration
