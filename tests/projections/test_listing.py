"""The fold of the listing read model: which keys a subject has, and how they are counted."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st
from support.streams import KEY, T0, at, created, revoked, updated

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import Event, KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.projections import listing
from keyledger.projections.listing import BOTTOM, STEP, TOP, Key, KeyCount, ListedKey, Place
from keyledger.projections.sequenced import SequencedEvent

LEAF_KEYS = 2


@pytest.fixture(autouse=True)
def _small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LEAF_KEYS", LEAF_KEYS)


class Rows:
    """The read model in memory: the steps of its `apply`, with dictionaries for tables."""

    def __init__(self) -> None:
        self.keys: dict[Key, ListedKey] = {}
        self.counts: dict[Place, KeyCount] = {}
        self.settled_at: datetime | None = None

    def apply(self, events: list[SequencedEvent]) -> "Rows":
        was, now = self.settled_at, listing.settled_at(self.settled_at, events)
        after = listing.fold(self.keys.values(), events)
        changes = listing.changes(self.keys, after, was, now)
        counts = listing.counted(self.counts, changes)
        for row in listing.newly_split(self.counts, counts):
            first, last = listing.span(row)
            keys = [
                key for key in after.values() if key.subject == row.subject and first <= key.created_at <= last
            ]
            counts |= listing.split(row, keys, now)
        self.keys, self.counts, self.settled_at = after, self.counts | counts, now
        return self


def sequenced(*events: Event, key: UUID = KEY, recorded_at: datetime = T0) -> list[SequencedEvent]:
    return [
        SequencedEvent(
            position=place, originator_id=key, originator_version=place, recorded_at=recorded_at, event=event
        )
        for place, event in enumerate(events, start=1)
    ]


def test_a_key_that_moved_is_revoked_where_it_is_now_whatever_the_order_of_its_rows() -> None:
    here = ListedKey(id=KEY, subject="org_2", created_at=T0)
    gone = ListedKey(id=KEY, subject="org_1", created_at=T0, present=False)

    for before in ([here, gone], [gone, here]):
        after = listing.fold(before, sequenced(revoked()))

        assert after[KEY, "org_2"].revoked
        assert after[KEY, "org_1"] == gone


def live(rows: Rows, subject: str = "org_1") -> int:
    return sum(row.live for row in rows.counts.values() if row.subject == subject and row.shift == TOP)


def keys(rows: Rows, subject: str = "org_1") -> int:
    return sum(row.keys for row in rows.counts.values() if row.subject == subject and row.shift == TOP)


def test_a_key_is_counted_from_its_creation_on_and_is_live_until_it_is_revoked() -> None:
    rows = Rows().apply(sequenced(created(expiration=None)))
    assert (keys(rows), live(rows)) == (1, 1)

    rows.apply(sequenced(revoked()))
    assert (keys(rows), live(rows)) == (1, 0)


def test_a_key_expires_with_the_first_event_of_anybody_s_that_is_recorded_then_or_later() -> None:
    used = KeyUsed.of([RecordedUse(occurred_at=T0, outcome="valid", use=Use())], id=new_uuid())
    rows = Rows().apply(sequenced(created(expiration=at(60))))

    assert live(rows.apply(sequenced(used, key=new_uuid(), recorded_at=at(59.999)))) == 1
    assert live(rows.apply(sequenced(used, key=new_uuid(), recorded_at=at(60)))) == 0


def test_an_event_that_was_recorded_before_another_brings_no_expired_key_back() -> None:
    rows = Rows().apply(sequenced(created(expiration=at(60)), updated(description="x"), recorded_at=at(60)))

    assert live(rows.apply(sequenced(created(), key=new_uuid(), recorded_at=at(1)))) == 1


def test_an_update_may_let_an_expired_key_live_again() -> None:
    rows = Rows().apply(sequenced(created(expiration=at(60)), recorded_at=at(90)))
    assert live(rows) == 0

    assert live(rows.apply(sequenced(updated(expiration=None), recorded_at=at(91)))) == 1


def test_a_key_that_gets_another_subject_leaves_one_count_and_enters_another() -> None:
    rows = Rows().apply(sequenced(created(), updated(subject="org_2")))

    assert (keys(rows, "org_1"), live(rows, "org_1")) == (0, 0)
    assert (keys(rows, "org_2"), live(rows, "org_2")) == (1, 1)


def test_a_key_may_come_back_to_a_subject_that_it_had() -> None:
    rows = Rows().apply(sequenced(created(), updated(subject="org_2"), updated(subject="org_1"), revoked()))

    assert (keys(rows, "org_1"), live(rows, "org_1"), keys(rows, "org_2")) == (1, 0, 0)


def test_an_update_to_the_subject_that_the_key_has_changes_nothing() -> None:
    rows = Rows().apply(sequenced(created(), updated(subject="org_1")))

    assert list(rows.keys) == [(KEY, "org_1")]
    assert (keys(rows), live(rows)) == (1, 1)


def test_a_stream_that_does_not_begin_with_a_creation_is_refused() -> None:
    with pytest.raises(UnreadableEvent, match="position 1: the stream begins with a KeyUpdated"):
        listing.fold([], sequenced(updated(subject="org_2")))


def test_a_bucket_is_split_once_more_keys_than_a_few_have_entered_it() -> None:
    rows = Rows()
    for second in range(LEAF_KEYS):
        rows.apply(sequenced(created(occurred_at=at(second * 1e6)), key=new_uuid()))
    assert [row.shift for row in rows.counts.values()] == [TOP]

    rows.apply(sequenced(created(occurred_at=at(9e6)), key=new_uuid()))

    assert {row.shift for row in rows.counts.values()} >= {TOP, TOP - STEP}


def test_keys_of_one_moment_are_split_down_to_the_least_bucket_and_no_further() -> None:
    rows = Rows()
    for _ in range(9):
        rows.apply(sequenced(created(), key=new_uuid()))

    assert sorted(row.shift for row in rows.counts.values()) == list(range(BOTTOM, TOP + 1, STEP))
    assert {row.keys for row in rows.counts.values()} == {9}


MOMENTS = st.sampled_from([0, 1e-6, 0.001, 0.002, 0.07, 4, 5, 300, 20_000, 1e6, 9e7, -3e9]).map(at)
STEPS = st.one_of(
    st.builds(
        lambda moment, subject, expiration: created(occurred_at=moment, subject=subject, expiration=expiration),
        MOMENTS,
        st.sampled_from(["org_1", "org_2"]),
        st.none() | MOMENTS,
    ),
    st.builds(lambda subject: updated(subject=subject), st.sampled_from(["org_1", "org_2", "org_3"])),
    st.builds(lambda expiration: updated(expiration=expiration), st.none() | MOMENTS),
    st.builds(revoked),
)


@st.composite
def histories(draw: st.DrawFn) -> list[SequencedEvent]:
    """The events of some keys, each of which was created first."""
    found: list[SequencedEvent] = []
    versions: Counter[UUID] = Counter()
    for place, event in enumerate(draw(st.lists(STEPS, max_size=40)), start=1):
        if event.topic == "KeyCreated" or not versions:
            event, key = event if event.topic == "KeyCreated" else created(), UUID(int=len(versions) + 1)
        else:
            key = draw(st.sampled_from(sorted(versions)))
        versions[key] += 1
        found.append(
            SequencedEvent(
                position=place,
                originator_id=key,
                originator_version=versions[key],
                recorded_at=draw(MOMENTS),
                event=event,
            )
        )
    return found


PATCHED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@PATCHED
@forall(histories(), st.lists(st.integers(0, 40)).map(sorted))
def test_however_the_events_are_cut_into_batches_the_rows_are_the_same(
    events: list[SequencedEvent], cuts: list[int]
) -> None:
    rows, whole = Rows(), Rows().apply(events)
    for start, end in pairwise([0, *cuts, len(events)]):
        rows.apply(events[start:end])

    assert (rows.keys, rows.counts, rows.settled_at) == (whole.keys, whole.counts, whole.settled_at)


@PATCHED
@forall(histories())
def test_the_counts_are_those_of_a_naive_recount(events: list[SequencedEvent]) -> None:
    rows = Rows().apply(events)

    assert rows.counts == {row.place: row for row in _recounted(rows.keys.values(), rows.settled_at)}


@PATCHED
@forall(histories())
def test_each_bucket_counts_what_those_that_it_is_split_into_count(events: list[SequencedEvent]) -> None:
    rows = Rows().apply(events).counts

    for row in rows.values():
        below = [
            each
            for each in rows.values()
            if (each.subject, each.shift, each.bucket >> STEP) == (row.subject, row.shift - STEP, row.bucket)
        ]
        assert bool(below) == row.is_split
        if below:
            assert (row.entered, row.keys, row.live) == (
                sum(each.entered for each in below),
                sum(each.keys for each in below),
                sum(each.live for each in below),
            )


def _recounted(found: Iterable[ListedKey], moment: datetime | None) -> Iterable[KeyCount]:
    """The rows below which every bucket that ever had more than a few keys is split, counted key by key."""
    found = list(found)
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    for subject in {key.subject for key in found}:
        wanted = [key for key in found if key.subject == subject]
        split = {None}
        for shift in range(TOP, BOTTOM - 1, -STEP):
            buckets: dict[int, list[ListedKey]] = {}
            for key in wanted:
                number = round((key.created_at - epoch).total_seconds() * 1_000_000) >> shift
                if (None if shift == TOP else number >> STEP) in split:
                    buckets.setdefault(number, []).append(key)
            for number, within in buckets.items():
                yield KeyCount(
                    subject=subject,
                    shift=shift,
                    bucket=number,
                    entered=len(within),
                    keys=sum(key.present for key in within),
                    live=sum(key.is_live(moment) for key in within),
                )
            split = {number for number, within in buckets.items() if len(within) > LEAF_KEYS}
