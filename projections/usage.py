"""The usage read model: when, from where and how often each key was used, in all and on each day."""

from collections.abc import Iterable, Mapping
from copy import copy
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar, get_args
from uuid import UUID

import msgspec

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import KeyUsed
from keyledger.domain.use import Outcome
from keyledger.domain.use_columns import UseColumns, text_of
from keyledger.projections.sequenced import SequencedEvent

_OUTCOMES = get_args(Outcome)
_VALID = _OUTCOMES.index("valid")
assert _VALID == 0, "what is not 0 was refused"
_DAY = timedelta(days=1) // timedelta(microseconds=1)


class Usage(msgspec.Struct, kw_only=True, gc=False):
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

    def add(self, other: "Usage") -> None:
        """Count what comes later in position."""
        self.uses += other.uses
        self.refused += other.refused
        if other.first_used_at is not None and other.last_used_at is not None:
            self.meet(other.first_used_at, other.first_address)
            self.meet(other.last_used_at, other.last_address)

    def meet(self, moment: datetime, address: str | None) -> None:
        """See whether an accepted use, later in position, is the first or the last."""
        if self.first_used_at is None or moment < self.first_used_at:
            self.first_used_at, self.first_address = moment, address
        if self.last_used_at is None or moment >= self.last_used_at:
            self.last_used_at, self.last_address = moment, address


class UsageDay(msgspec.Struct, kw_only=True, gc=False):
    """A row of `key_usage_days`: accepted uses and refused attempts on one day (UTC)."""

    id: UUID
    day: date
    uses: int = 0
    refused: int = 0

    def add(self, other: "UsageDay") -> None:
        """Count what comes later in position."""
        self.uses += other.uses
        self.refused += other.refused


K = TypeVar("K")
R = TypeVar("R", Usage, UsageDay)


class _Counts(msgspec.Struct, kw_only=True, gc=False):
    """Of an event's uses: how many were accepted and refused, by day from the event's own, and two moments.

    The moments are in microseconds since the event's, each with the number of the address.
    """

    days: dict[int, list[int]]
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None


class UsageRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the read model, by key and by key and day."""

    keys: dict[UUID, Usage]
    days: dict[tuple[UUID, date], UsageDay]


def added(before: Mapping[K, R], later: Mapping[K, R]) -> dict[K, R]:
    """The rows of two spans of positions, one after the other, as those of one."""
    rows = {key: copy(row) for key, row in before.items()}
    for key, row in later.items():
        if key in rows:
            rows[key].add(row)
        else:
            rows[key] = copy(row)
    return rows


def counted(events: Iterable[SequencedEvent]) -> UsageRows:
    """The rows as if there were no events but these. Raises UnreadableEvent."""
    found: dict[UUID, tuple[Usage, dict[date, UsageDay]]] = {}
    for sequenced in events:
        if isinstance(sequenced.event, KeyUsed):
            key_id = sequenced.originator_id
            rows = found.get(key_id)
            if rows is None:
                found[key_id] = rows = (Usage(id=key_id), {})
            _count(*rows, sequenced.position, sequenced.event)
    return UsageRows(
        keys={key_id: usage for key_id, (usage, _) in found.items()},
        days={(key_id, day): row for key_id, (_, days) in found.items() for day, row in days.items()},
    )


def _count(usage: Usage, days: dict[date, UsageDay], position: int, event: KeyUsed) -> None:
    """Add an event to its key's rows.

    Of the packed uses it looks at the numbers alone: there may be millions, and of most nothing else matters.
    """
    start = event.occurred_at.astimezone(UTC)
    begin = ((start.hour * 60 + start.minute) * 60 + start.second) * 1_000_000 + start.microsecond
    found = _alike(begin, event.columns) or _each(begin, event.columns, position)
    if event.refused_unlisted:
        found.days.setdefault(0, [0, 0])[1] += event.refused_unlisted
    for number, (uses, refused) in found.days.items():
        usage.uses += uses
        usage.refused += refused
        on = start.date() + timedelta(days=number) if number else start.date()
        row = days.get(on) or days.setdefault(on, UsageDay(id=usage.id, day=on))
        row.uses += uses
        row.refused += refused
    if found.first is not None and found.last is not None:
        for offset, address in (found.first, found.last):
            usage.meet(start + timedelta(microseconds=offset), text_of(event.texts, address))


def _alike(begin: int, columns: UseColumns) -> _Counts | None:
    """Those of uses that were all accepted within the first day, as most events' are; None for others."""
    if not len(columns) or any(columns.outcome):
        return None
    first, last = columns.span()
    if begin + first < 0 or begin + last >= _DAY:
        return None
    addresses = columns.ip_address
    if len(addresses) == 1:
        earliest = latest = 0
    else:
        offsets = columns.offsets()
        earliest, latest = offsets.index(first), len(offsets) - 1 - offsets[::-1].index(last)
    return _Counts(days={0: [len(columns), 0]}, first=(first, addresses[earliest]), last=(last, addresses[latest]))


def _each(begin: int, columns: UseColumns, position: int) -> _Counts:
    found = _Counts(days={})
    outcomes, addresses = columns.each(columns.outcome), columns.each(columns.ip_address)
    for offset, outcome, address in zip(columns.offsets(), outcomes, addresses, strict=True):
        if not 0 <= outcome < len(_OUTCOMES):
            raise UnreadableEvent(f"position {position}: there is no outcome {outcome}")
        day = found.days.setdefault((begin + offset) // _DAY, [0, 0])
        if outcome != _VALID:
            day[1] += 1
            continue
        day[0] += 1
        if found.first is None or offset < found.first[0]:
            found.first = offset, address
        if found.last is None or offset >= found.last[0]:
            found.last = offset, address
    return found
