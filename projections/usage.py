"""The usage read model: when, from where and how often each key was used, in all and on each day."""

from collections.abc import Iterable
from copy import copy
from datetime import UTC, date, datetime, timedelta
from typing import get_args
from uuid import UUID

import msgspec

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import KeyUsed
from keyledger.domain.use import Outcome
from keyledger.projections.sequenced import SequencedEvent

_OUTCOMES = get_args(Outcome)
_VALID = _OUTCOMES.index("valid")
_DAY = timedelta(days=1) // timedelta(microseconds=1)
_NEVER = 1 << 64


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


class UsageDay(msgspec.Struct, kw_only=True):
    """A row of `key_usage_days`: accepted uses and refused attempts on one day (UTC)."""

    id: UUID
    day: date
    uses: int = 0
    refused: int = 0

    def add(self, other: "UsageDay") -> None:
        """Count what comes later in position."""
        self.uses += other.uses
        self.refused += other.refused


class UsageRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the read model, by key and by key and day."""

    keys: dict[UUID, Usage]
    days: dict[tuple[UUID, date], UsageDay]


def fold(before: UsageRows, events: Iterable[SequencedEvent]) -> UsageRows:
    """The rows after the events: those of before, and those of every key and day that the events speak of.

    Raises UnreadableEvent.
    """
    return joined(before, counted(events))


def joined(before: UsageRows, later: UsageRows) -> UsageRows:
    """The rows of two spans of positions, one after the other, as those of one."""
    keys = {key_id: copy(usage) for key_id, usage in before.keys.items()}
    for key_id, usage in later.keys.items():
        keys.setdefault(key_id, Usage(id=key_id)).add(usage)
    days = {key: copy(row) for key, row in before.days.items()}
    for key, row in later.days.items():
        days.setdefault(key, UsageDay(id=row.id, day=row.day)).add(row)
    return UsageRows(keys=keys, days=days)


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
    moment = begin = ((start.hour * 60 + start.minute) * 60 + start.second) * 1_000_000 + start.microsecond
    found: dict[int, list[int]] = {}
    first, last, first_text, last_text = _NEVER, -_NEVER, 0, 0
    for since, outcome, address, _, _, _, _ in event.rows:
        moment += since
        day = found.get(moment // _DAY) or found.setdefault(moment // _DAY, [0, 0])
        if outcome == _VALID:
            day[0] += 1
            if moment < first:
                first, first_text = moment, address
            if moment >= last:
                last, last_text = moment, address
        elif 0 <= outcome < len(_OUTCOMES):
            day[1] += 1
        else:
            raise UnreadableEvent(f"position {position}: there is no outcome {outcome}")
    if event.refused_unlisted:
        found.setdefault(0, [0, 0])[1] += event.refused_unlisted
    for number, (uses, refused) in found.items():
        usage.uses += uses
        usage.refused += refused
        on = start.date() + timedelta(days=number)
        row = days.get(on) or days.setdefault(on, UsageDay(id=usage.id, day=on))
        row.uses += uses
        row.refused += refused
    if last != -_NEVER:
        texts = (None, *event.texts)
        usage.meet(start + timedelta(microseconds=first - begin), texts[first_text])
        usage.meet(start + timedelta(microseconds=last - begin), texts[last_text])
