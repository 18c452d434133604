"""The listing read model's tables: `listed_keys` and `key_counts`."""

from collections.abc import Sequence
from datetime import datetime

from keyledger.infrastructure.following.read_model import Tables
from keyledger.infrastructure.rows import columns, named
from keyledger.projections import listing
from keyledger.projections.listing import Change, Key, KeyCount, ListedKey, Place
from keyledger.projections.sequenced import SequencedEvent


class ListingModel:
    """Kept by the runner; lists find their pages by it. The state is when keys were last judged to be expired."""

    name = "listing"
    version = 1
    tables = ("listed_keys", "key_counts")

    def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
        was = None if state is None else datetime.fromisoformat(state.decode())
        now = listing.settled_at(was, events)
        before = _load_keys(tables, events, was, now)
        after = listing.fold(before.values(), events)
        changed = [after[key] for key in sorted(after) if after[key] != before.get(key)]
        if changed:
            tables.execute("store_listed_keys", columns(ListedKey, changed))
        found = listing.changes(before, after, was, now)
        if found:
            _count(tables, found, now)
        return None if now is None else now.isoformat().encode()


def _count(tables: Tables, changes: Sequence[Change], now: datetime | None) -> None:
    """Bring the counts to after the changes, where the keys' rows are there already."""
    before = _load_counts(tables, changes)
    after = listing.counted(before, changes)
    for row in listing.newly_split(before, after):
        first, last = listing.span(row)
        parameters = {"subject": row.subject, "first": first, "last": last}
        keys = (ListedKey(**named(ListedKey, each)) for each in tables.execute("load_bucket_keys", parameters))
        after |= listing.split(row, keys, now)
    tables.execute("store_key_counts", columns(KeyCount, (after[place] for place in sorted(after))))


def _load_keys(
    tables: Tables, events: Sequence[SequencedEvent], was: datetime | None, now: datetime | None
) -> dict[Key, ListedKey]:
    """The rows of the keys that these events change, and of those that have expired since."""
    ids = sorted({event.originator_id for event in events if listing.is_change(event)})
    rows = tables.execute("load_listed_keys", {"ids": ids, "was": was, "now": now})
    keys = (ListedKey(**named(ListedKey, row)) for row in rows)
    return {(key.id, key.subject): key for key in keys}


def _load_counts(tables: Tables, changes: Sequence[Change]) -> dict[Place, KeyCount]:
    """The rows that there are on the changes' paths."""
    places = sorted({place for change in changes for place in change.path()})
    subjects, shifts, buckets = (list(column) for column in zip(*places, strict=True))
    parameters = {"subjects": subjects, "shifts": shifts, "buckets": buckets}
    counts = (KeyCount(**named(KeyCount, row)) for row in tables.execute("load_key_counts", parameters))
    return {count.place: count for count in counts}
