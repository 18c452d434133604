"""The listing read model: how many keys each subject has, by when they were created.

By it a page of any number is found without counting up to it. The counts form a tree over time. A bucket of it is
`2**shift` microseconds; one that ever had more than `LEAF_KEYS` keys is split into the buckets of the next shift,
and below one that never had, there are none. Which buckets there are, and what they count, is told by the keys
alone, in whatever order they were counted.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import KeyCreated, KeyDeleted, KeyRevoked, KeyUpdated
from keyledger.domain.microseconds import microseconds, moment_of
from keyledger.projections.sequenced import SequencedEvent

TOP, STEP, BOTTOM = 58, 6, 10
"""The shifts: one bucket holds all times, each has 64 of the next, and the least are of a millisecond."""

LEAF_KEYS = 256
"""A bucket that had no more keys than this is not split."""

EARLIEST_MICROSECOND = microseconds(datetime.min.replace(tzinfo=UTC))
LATEST_MICROSECOND = microseconds(datetime.max.replace(tzinfo=UTC))
"""The moments that a key may be created at, in microseconds."""

Key = tuple[UUID, str]
"""A key's id and a subject that it has or had."""
Place = tuple[str, int, int]
"""A subject, a shift, and a bucket's number."""


class ListedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `listed_keys`: a key with one of the subjects that it ever had.

    Where the key has another subject now, or was deleted, it is not `present`, and the rest is empty.
    """

    id: UUID
    subject: str
    created_at: datetime
    expiration: datetime | None = None
    revoked: bool = False
    present: bool = True

    def is_live(self, moment: datetime | None) -> bool:
        """Whether it counts as neither revoked nor expired at a moment."""
        expired = self.expiration is not None and moment is not None and self.expiration <= moment
        return self.present and not self.revoked and not expired


class KeyCount(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `key_counts`: the keys that ever entered a bucket, those there now, and the live ones of these."""

    subject: str
    shift: int
    bucket: int
    entered: int = 0
    keys: int = 0
    live: int = 0

    @property
    def place(self) -> Place:
        """What tells it from the others."""
        return self.subject, self.shift, self.bucket

    @property
    def is_split(self) -> bool:
        """Whether the buckets of the next shift are counted as well."""
        return self.entered > LEAF_KEYS and self.shift > BOTTOM

    def plus(self, change: "Change") -> "KeyCount":
        """The row after a change."""
        return replace(
            self,
            entered=self.entered + change.entered,
            keys=self.keys + change.keys,
            live=self.live + change.live,
        )


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the counts change where a key was created."""

    subject: str
    created_at: datetime
    entered: int
    keys: int
    live: int

    def place(self, shift: int) -> Place:
        """The bucket of this shift that it falls into."""
        return self.subject, shift, microseconds(self.created_at) >> shift

    def path(self) -> Iterator[Place]:
        """Every bucket that it falls into, the largest first."""
        return (self.place(shift) for shift in range(TOP, BOTTOM - 1, -STEP))


def is_change(sequenced: SequencedEvent) -> bool:
    """Whether an event says anything of a key that is counted before."""
    return isinstance(sequenced.event, KeyUpdated | KeyRevoked | KeyDeleted)


def settled_at(before: datetime | None, events: Iterable[SequencedEvent]) -> datetime | None:
    """The moment at which keys are judged to be expired: the latest at which an event was recorded so far."""
    moments = [event.recorded_at.astimezone(UTC) for event in events]
    return max(moments if before is None else [before, *moments], default=None)


def fold(before: Iterable[ListedKey], events: Iterable[SequencedEvent]) -> dict[Key, ListedKey]:
    """The rows of the keys that the events speak of, given those that there were.

    Raises UnreadableEvent for a stream that does not begin with a KeyCreated.
    """
    rows = {(row.id, row.subject): row for row in before}
    now = {row.id: row for row in rows.values() if row.present}
    for sequenced in events:
        event, key_id = sequenced.event, sequenced.originator_id
        row = now.get(key_id)
        if isinstance(event, KeyCreated):
            row = row or ListedKey(
                id=key_id, subject=event.subject, created_at=event.occurred_at, expiration=event.expiration
            )
        elif not isinstance(event, KeyUpdated | KeyRevoked | KeyDeleted):
            continue
        elif row is None:
            raise UnreadableEvent(
                f"position {sequenced.position}: the stream begins with a {event.topic}, not a KeyCreated"
            )
        elif isinstance(event, KeyRevoked):
            row = replace(row, revoked=True)
        else:
            rows[key_id, row.subject] = _left(row)
            row = _updated(row, event) if isinstance(event, KeyUpdated) else _left(row)
        now[key_id] = rows[key_id, row.subject] = row
    return rows


def changes(
    before: Mapping[Key, ListedKey], after: Mapping[Key, ListedKey], was: datetime | None, now: datetime | None
) -> list[Change]:
    """What the rows of `after` change, which were settled at `was` and are at `now`."""
    found = []
    for key, row in after.items():
        old = before.get(key)
        change = Change(
            subject=row.subject,
            created_at=row.created_at,
            entered=int(old is None),
            keys=row.present - (old is not None and old.present),
            live=row.is_live(now) - (old is not None and old.is_live(was)),
        )
        if change.entered or change.keys or change.live:
            found.append(change)
    return found


def counted(before: Mapping[Place, KeyCount], found: Iterable[Change]) -> dict[Place, KeyCount]:
    """The rows on the changes' paths as they are after them, given those that there were.

    Where a bucket is split by this, nothing below it is counted: its keys must be counted anew, by `split`.
    """
    rows: dict[Place, KeyCount] = {}
    for change in found:
        for place in change.path():
            old = before.get(place)
            row = rows.get(place) or old or _empty(place)
            rows[place] = row.plus(change)
            if old is None or not old.is_split:
                break
    return rows


def newly_split(before: Mapping[Place, KeyCount], after: Mapping[Place, KeyCount]) -> list[KeyCount]:
    """The rows that are split and were not before."""
    return [
        row for place, row in after.items() if row.is_split and not (place in before and before[place].is_split)
    ]


def split(row: KeyCount, keys: Iterable[ListedKey], now: datetime | None) -> dict[Place, KeyCount]:
    """Every row below one that is split, given all the keys that ever entered it."""
    found = changes({}, {(key.id, key.subject): key for key in keys}, None, now)
    rows: dict[Place, KeyCount] = {}
    parents = {row.place}
    for shift in range(row.shift - STEP, BOTTOM - 1, -STEP):
        level: dict[Place, KeyCount] = {}
        for change in found:
            if change.place(shift + STEP) in parents:
                place = change.place(shift)
                level[place] = level.get(place, _empty(place)).plus(change)
        rows |= level
        parents = {place for place, each in level.items() if each.is_split}
    return rows


def span(row: KeyCount) -> tuple[datetime, datetime]:
    """The first and the last moment of a bucket, as far as a datetime goes."""
    first = row.bucket << row.shift
    return _moment(first), _moment(first + (1 << row.shift) - 1)


def _left(row: ListedKey) -> ListedKey:
    return ListedKey(id=row.id, subject=row.subject, created_at=row.created_at, present=False)


def _updated(row: ListedKey, event: KeyUpdated) -> ListedKey:
    subject, expiration = event.changes.subject, event.changes.expiration
    if subject is not UNSET:
        row = replace(row, subject=subject)
    return row if expiration is UNSET else replace(row, expiration=expiration)


def _empty(place: Place) -> KeyCount:
    subject, shift, bucket = place
    return KeyCount(subject=subject, shift=shift, bucket=bucket)


def _moment(since_1970: int) -> datetime:
    return moment_of(min(max(since_1970, EARLIEST_MICROSECOND), LATEST_MICROSECOND))
