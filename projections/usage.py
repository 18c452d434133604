"""The usage read model: when, from where and how often each key was used, in all and on each day."""

from collections.abc import Iterable, Mapping
from copy import copy
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, Self, TypeVar, get_args
from uuid import UUID

import msgspec

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import KeyUsed
from keyledger.domain.use import Outcome
from keyledger.projections.sequenced import SequencedEvent

_OUTCOMES = get_args(Outcome)
_VALID = _OUTCOMES.index("valid")
_DAY = timedelta(days=1) // timedelta(microseconds=1)


class Usage(msgspec.Struct, kw_only=True):
    """A row of `key_usage`: how often a key was used and refused.

    Times and addresses are those of accepted uses, by the service's clock. Of uses at one moment the earliest in
    position is the first, the latest the last.
    """

    id: UUID
    uses: int = 0
    refused: int = 0
    first_used_at: datetime | None = None
    first_address: str | None = None
    last_used_at: datetime | None = None
    last_address: str | None = None

    def add(self, other: Self) -> None:
        """Count what comes later in position."""
        self.uses += other.uses
        self.refused += other.refused
        first, last = other.first_used_at, other.last_used_at
        if first is not None and (self.first_used_at is None or first < self.first_used_at):
            self.first_used_at, self.first_address = first, other.first_address
        if last is not None and (self.last_used_at is None or last >= self.last_used_at):
            self.last_used_at, self.last_address = last, other.last_address


class UsageDay(msgspec.Struct, kw_only=True):
    """A row of `key_usage_days`: accepted uses and refused attempts on one day (UTC)."""

    id: UUID
    day: date
    uses: int = 0
    refused: int = 0

    def add(self, other: Self) -> None:
        """Count what comes later in position."""
        self.uses += other.uses
        self.refused += other.refused


class UsageRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the read model, by key and by key and day."""

    keys: dict[UUID, Usage]
    days: dict[tuple[UUID, date], UsageDay]


class _Row(Protocol):
    def add(self, other: Self) -> None: ...


K = TypeVar("K")
R = TypeVar("R", bound=_Row)


def fold(before: UsageRows, events: Iterable[SequencedEvent]) -> UsageRows:
    """The rows after the events: those of before, and those of every key and day that the events speak of.

    Raises UnreadableEvent.
    """
    return joined(before, counted(events))


def joined(before: UsageRows, later: UsageRows) -> UsageRows:
    """The rows of two spans of positions, one after the other, as those of one."""
    rows = UsageRows(keys=_copies(before.keys), days=_copies(before.days))
    _add(rows.keys, later.keys)
    _add(rows.days, later.days)
    return rows


def counted(events: Iterable[SequencedEvent]) -> UsageRows:
    """The rows as if there were no events but these. Raises UnreadableEvent."""
    rows = UsageRows(keys={}, days={})
    for sequenced in events:
        if isinstance(sequenced.event, KeyUsed):
            _count(rows, sequenced, sequenced.event)
    return rows


def _copies(rows: Mapping[K, R]) -> dict[K, R]:
    return {key: copy(row) for key, row in rows.items()}


def _add(rows: dict[K, R], later: Mapping[K, R]) -> None:
    for key, row in later.items():
        if key in rows:
            rows[key].add(row)
        else:
            rows[key] = copy(row)


def _count(rows: UsageRows, sequenced: SequencedEvent, event: KeyUsed) -> None:
    """Works on the numbers of the packed uses: there may be millions, and of few is anything else of interest."""
    start = event.occurred_at.astimezone(UTC)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = (start - midnight) // timedelta(microseconds=1)
    days = {moment // _DAY: [0, event.refused_unlisted]} if event.refused_unlisted else {}
    first = last = (moment, 0)
    uses = 0
    for since, outcome, address, *_ in event.rows:
        moment += since
        day = days.get(moment // _DAY) or days.setdefault(moment // _DAY, [0, 0])
        if outcome == _VALID:
            uses += 1
            day[0] += 1
            if uses == 1 or moment < first[0]:
                first = moment, address
            if uses == 1 or moment >= last[0]:
                last = moment, address
        elif 0 <= outcome < len(_OUTCOMES):
            day[1] += 1
        else:
            raise UnreadableEvent(f"position {sequenced.position}: there is no outcome {outcome}")
    key_id, texts = sequenced.originator_id, (None, *event.texts)
    usage = Usage(id=key_id, uses=uses, refused=sum(refused for _, refused in days.values()))
    if uses:
        usage.first_used_at, usage.first_address = midnight + timedelta(microseconds=first[0]), texts[first[1]]
        usage.last_used_at, usage.last_address = midnight + timedelta(microseconds=last[0]), texts[last[1]]
    _add(rows.keys, {key_id: usage})
    for number, (accepted, refused) in days.items():
        day_of = midnight.date() + timedelta(days=number)
        _add(rows.days, {(key_id, day_of): UsageDay(id=key_id, day=day_of, uses=accepted, refused=refused)})
