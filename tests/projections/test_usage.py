"""The fold of the usage read model."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from support.streams import KEY, T0, at, created, revoked, updated

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import Event, KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import Outcome, RecordedUse, Use
from keyledger.domain.use_columns import UseColumns
from keyledger.projections.sequenced import SequencedEvent
from keyledger.projections.usage import Usage, UsageDay, UsageRows, added, counted

OTHER = UUID("01a208f6-d627-7fcb-ac5f-5786313b3379")
NOTHING = UsageRows(keys={}, days={})


def use(seconds: float, address: str | None = None, outcome: Outcome = "valid") -> RecordedUse:
    return RecordedUse(occurred_at=at(seconds), outcome=outcome, use=Use(ip_address=address, path="/things"))


def used(*uses: RecordedUse, refused_unlisted: int = 0) -> KeyUsed:
    return KeyUsed.of(uses, id=new_uuid(), refused_unlisted=refused_unlisted)


def sequenced(*events: Event, key: UUID = KEY) -> list[SequencedEvent]:
    return [
        SequencedEvent(position=place, originator_id=key, originator_version=place, recorded_at=T0, event=event)
        for place, event in enumerate(events, start=1)
    ]


def fold(before: UsageRows, events: Iterable[SequencedEvent]) -> UsageRows:
    """The rows after the events: those of before, and those of every key and day that the events speak of."""
    later = counted(events)
    return UsageRows(keys=added(before.keys, later.keys), days=added(before.days, later.days))


def test_uses_and_refused_attempts_are_counted_apart() -> None:
    events = sequenced(
        created(), used(use(1), use(2, outcome="revoked"), use(3)), used(use(4, outcome="not_found"))
    )

    rows = fold(NOTHING, events)

    assert (rows.keys[KEY].uses, rows.keys[KEY].refused) == (2, 2)
    assert rows.days == {(KEY, T0.date()): UsageDay(id=KEY, day=T0.date(), uses=2, refused=2)}


def test_attempts_that_were_only_counted_are_counted_on_the_day_of_their_event() -> None:
    rows = fold(NOTHING, sequenced(used(use(0, outcome="expired"), refused_unlisted=90)))

    assert rows.keys[KEY] == Usage(id=KEY, refused=91)
    assert rows.days[KEY, T0.date()].refused == 91


def test_the_first_and_the_last_use_are_told_by_the_service_s_clock_and_not_by_position() -> None:
    rows = fold(
        NOTHING, sequenced(used(use(5, "b"), use(3, "a")), used(use(9, "d"), use(7, "c")), used(use(8, "e")))
    )

    row = rows.keys[KEY]
    assert (row.first_used_at, row.first_address) == (at(3), "a")
    assert (row.last_used_at, row.last_address) == (at(9), "d")


def test_of_uses_at_one_moment_the_earliest_in_position_is_first_and_the_latest_last() -> None:
    rows = fold(NOTHING, sequenced(used(use(1, "a"), use(1, "b")), used(use(1, "c"), use(1, None))))
    among_refused = fold(NOTHING, sequenced(used(use(1, "a"), use(1, "b"), use(1, "c", "expired"))))

    assert (rows.keys[KEY].first_address, rows.keys[KEY].last_address) == ("a", None)
    assert (among_refused.keys[KEY].first_address, among_refused.keys[KEY].last_address) == ("a", "b")


def test_a_refused_attempt_is_neither_the_first_nor_the_last_use() -> None:
    attempts = use(0, "z", "expired"), use(1, "a"), use(2, "z", "insufficient_scope")

    row = fold(NOTHING, sequenced(used(*attempts))).keys[KEY]

    assert (row.first_used_at, row.last_used_at, row.last_address) == (at(1), at(1), "a")


def test_days_begin_at_midnight_in_utc() -> None:
    midnight = (T0.replace(hour=0) + timedelta(days=1) - T0).total_seconds()
    rows = fold(NOTHING, sequenced(used(use(midnight - 0.000001), use(midnight), use(midnight - 86_400))))

    assert {day: row.uses for (_, day), row in rows.days.items()} == {date(2026, 11, 23): 2, date(2026, 11, 24): 1}


def test_a_use_that_went_back_over_midnight_is_counted_on_the_day_before() -> None:
    midnight = (T0.replace(hour=0) + timedelta(days=1) - T0).total_seconds()

    rows = fold(NOTHING, sequenced(used(use(midnight), use(midnight - 1e-6))))

    assert {day: row.uses for (_, day), row in rows.days.items()} == {date(2026, 11, 23): 1, date(2026, 11, 24): 1}


def test_attempts_that_were_only_counted_need_no_others() -> None:
    columns = UseColumns((), (), (), (), (), (), ())
    event = KeyUsed(id=new_uuid(), occurred_at=T0, actor=None, texts=(), columns=columns, refused_unlisted=9)

    assert fold(NOTHING, sequenced(event)).keys[KEY] == Usage(id=KEY, refused=9)


def test_a_moment_in_another_zone_is_counted_on_its_day_in_utc() -> None:
    evening = datetime(2026, 11, 23, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    event = used(RecordedUse(occurred_at=evening, outcome="valid", use=Use()))

    rows = fold(NOTHING, sequenced(event))

    assert [day for _, day in rows.days] == [date(2026, 11, 24)]
    assert rows.keys[KEY].last_used_at == evening


def test_keys_are_counted_apart_and_other_events_not_at_all() -> None:
    events = sequenced(created(), used(use(1))) + sequenced(
        used(use(2), use(3)), updated(description="x"), key=OTHER
    )

    rows = fold(NOTHING, [*events, *sequenced(revoked())])

    assert {key: row.uses for key, row in rows.keys.items()} == {KEY: 1, OTHER: 2}


def test_an_outcome_that_this_version_does_not_know_is_never_taken_for_another() -> None:
    event = used(use(1))
    unknown = len(get_args(Outcome))
    columns = UseColumns((0,), (unknown,), (0,), (0,), (0,), (0,), (0,))
    newer = KeyUsed(id=event.id, occurred_at=T0, actor=None, texts=(), columns=columns)

    with pytest.raises(UnreadableEvent, match="position 1: there is no outcome 5"):
        fold(NOTHING, sequenced(newer))


@pytest.mark.parametrize("number", [2, -1])
def test_an_address_that_is_not_among_the_texts_is_never_taken_for_another(number: int) -> None:
    columns = UseColumns((0,), (0,), (number,), (0,), (0,), (0,), (0,))
    damaged = KeyUsed(id=new_uuid(), occurred_at=T0, actor=None, texts=("10.0.0.1",), columns=columns)

    with pytest.raises(UnreadableEvent, match=f"there is no text {number}"):
        fold(NOTHING, sequenced(damaged))


def test_the_rows_from_before_stay_as_they_are() -> None:
    before = fold(NOTHING, sequenced(used(use(1))))

    fold(before, sequenced(used(use(2))))

    assert before.keys[KEY].uses == 1


SECONDS = st.integers(-200_000, 200_000) | st.sampled_from([-43_200, 43_200, 43_200 - 1e-6])  # midnight
ADDRESSES = st.sampled_from([None, "192.0.2.1", "192.0.2.2"])
ACCEPTED = st.builds(use, SECONDS, ADDRESSES)
ANY = st.builds(use, SECONDS, ADDRESSES, st.sampled_from(get_args(Outcome)))
EVENTS = st.builds(
    lambda uses, unlisted: used(*uses, refused_unlisted=unlisted),
    st.lists(ACCEPTED, min_size=1) | st.lists(ANY, min_size=1),
    st.integers(0, 3),
)
HISTORIES = st.lists(st.tuples(st.sampled_from([KEY, OTHER]), EVENTS | st.builds(updated)), max_size=12).map(
    lambda found: [
        SequencedEvent(position=place, originator_id=key, originator_version=1, recorded_at=T0, event=event)
        for place, (key, event) in enumerate(found, start=1)
    ]
)


@forall(HISTORIES, st.lists(st.integers(0, 12)).map(sorted))
def test_however_the_events_are_cut_into_batches_the_rows_are_the_same(
    events: list[SequencedEvent], cuts: list[int]
) -> None:
    rows = NOTHING
    for start, end in pairwise([0, *cuts, len(events)]):
        rows = fold(rows, events[start:end])

    assert rows == fold(NOTHING, events)


@forall(HISTORIES)
def test_the_rows_are_those_of_a_naive_recount(events: list[SequencedEvent]) -> None:
    rows = counted(events)

    assert rows.keys == {key: _recounted(key, events) for key in (KEY, OTHER) if _uses(key, events)}
    for (key, day), row in rows.days.items():
        of_day = [each for each in _uses(key, events) if each.occurred_at.date() == day]
        assert row.uses == sum(each.outcome == "valid" for each in of_day)
        assert row.refused == sum(each.outcome != "valid" for each in of_day) + _unlisted(key, events, day)
    assert {key for key, _ in rows.days} == rows.keys.keys()
    assert sum(row.uses for row in rows.days.values()) == sum(row.uses for row in rows.keys.values())


def _recounted(key: UUID, events: list[SequencedEvent]) -> Usage:
    accepted = [each for each in _uses(key, events) if each.outcome == "valid"]
    refused = len(_uses(key, events)) - len(accepted) + _unlisted(key, events)
    row: dict[str, Any] = {"id": key, "uses": len(accepted), "refused": refused}
    if accepted:
        first = min(accepted, key=lambda each: each.occurred_at)
        last = max(reversed(accepted), key=lambda each: each.occurred_at)
        row |= {"first_used_at": first.occurred_at, "first_address": first.use.ip_address}
        row |= {"last_used_at": last.occurred_at, "last_address": last.use.ip_address}
    return Usage(**row)


def _used(key: UUID, events: list[SequencedEvent]) -> list[KeyUsed]:
    return [each.event for each in events if each.originator_id == key and isinstance(each.event, KeyUsed)]


def _uses(key: UUID, events: list[SequencedEvent]) -> list[RecordedUse]:
    return [each for event in _used(key, events) for each in event.uses]


def _unlisted(key: UUID, events: list[SequencedEvent], day: date | None = None) -> int:
    found = _used(key, events)
    return sum(event.refused_unlisted for event in found if day in (None, event.occurred_at.date()))
