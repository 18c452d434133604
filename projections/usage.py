"""The usage read model: when, from where and how often each key was used, in all and on each day."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from keyledger.domain.events import KeyUsed
from keyledger.domain.use import RecordedUse
from keyledger.projections.sequenced import SequencedEvent

K = TypeVar("K")
R = TypeVar("R", bound=msgspec.Struct)


class Usage(msgspec.Struct, kw_only=True):
    """A row of `key_usage`. Times and addresses are those of accepted uses, by the service's clock."""

    id: UUID
    uses: int = 0
    refused: int = 0
    first_used_at: datetime | None = None
    first_address: str | None = None
    last_used_at: datetime | None = None
    last_address: str | None = None

    def add(self, recorded: RecordedUse) -> None:
        """Count an accepted use. They come in any order; of two at one moment the later in position is last."""
        self.uses += 1
        if self.first_used_at is None or recorded.occurred_at < self.first_used_at:
            self.first_used_at, self.first_address = recorded.occurred_at, recorded.use.ip_address
        if self.last_used_at is None or recorded.occurred_at >= self.last_used_at:
            self.last_used_at, self.last_address = recorded.occurred_at, recorded.use.ip_address


class UsageDay(msgspec.Struct, kw_only=True):
    """A row of `key_usage_days`: accepted uses and refused attempts on one day (UTC)."""

    id: UUID
    day: date
    uses: int = 0
    refused: int = 0


class UsageRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the read model, by key and by key and day."""

    keys: dict[UUID, Usage]
    days: dict[tuple[UUID, date], UsageDay]


def days(events: Iterable[SequencedEvent]) -> set[tuple[UUID, date]]:
    """The keys and days that the events speak of."""
    return {
        (sequenced.originator_id, moment.date())
        for sequenced in events
        if isinstance(sequenced.event, KeyUsed)
        for moment in (sequenced.event.occurred_at, *(use.occurred_at for use in sequenced.event.uses))
    }


def fold(before: UsageRows, events: Iterable[SequencedEvent]) -> UsageRows:
    """The rows after the events: those of every key and day that these speak of."""
    after = UsageRows(keys=_copies(before.keys), days=_copies(before.days))
    for sequenced in events:
        if isinstance(sequenced.event, KeyUsed):
            _add(after, sequenced.originator_id, sequenced.event)
    return after


def _add(rows: UsageRows, key_id: UUID, event: KeyUsed) -> None:
    usage = rows.keys.setdefault(key_id, Usage(id=key_id))
    for recorded in event.uses:
        day = _day(rows, key_id, recorded.occurred_at)
        if recorded.outcome == "valid":
            usage.add(recorded)
            day.uses += 1
        else:
            usage.refused += 1
            day.refused += 1
    if event.refused_unlisted:
        usage.refused += event.refused_unlisted
        _day(rows, key_id, event.occurred_at).refused += event.refused_unlisted


def _day(rows: UsageRows, key_id: UUID, moment: datetime) -> UsageDay:
    day = moment.date()
    return rows.days.setdefault((key_id, day), UsageDay(id=key_id, day=day))


def _copies(rows: Mapping[K, R]) -> dict[K, R]:
    return {key: msgspec.structs.replace(row) for key, row in rows.items()}
