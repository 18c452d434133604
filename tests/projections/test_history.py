"""The fold of the audit history, and the entries that an event has."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import ClassVar, get_args
from uuid import UUID

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from support.streams import KEY, T0, at, created, revoked, updated

from keyledger.cli.entries import what_text
from keyledger.domain.actor import Actor
from keyledger.domain.digest import Digest
from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import Event, KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import Outcome, RecordedUse, Use
from keyledger.projections.history import SPREAD, HistoryRow, KeyState, fold
from keyledger.projections.history_entry import RecordedEvent, entries, moments
from keyledger.projections.sequenced import SequencedEvent

OTHER = UUID("01a208f6-d627-7fcb-ac5f-5786313b3379")
ACTOR = Actor(
    user_id="user_1",
    organization_id="org_1",
    ip_address="192.0.2.1",
    request_id="req_1",
    credential_id="ak_01a208f6d6287113baedf4f2bbe2bd48",
)


def used(*seconds: float, refused_unlisted: int = 0, outcome: Outcome = "valid") -> KeyUsed:
    uses = [RecordedUse(occurred_at=at(each), outcome=outcome, use=Use(path=f"/{each}")) for each in seconds]
    return KeyUsed.of(uses, id=new_uuid(), refused_unlisted=refused_unlisted)


def sequenced(*events: Event, recorded: float = 0) -> list[SequencedEvent]:
    """The events as one key's stream, recorded so many seconds after the beginning."""
    return [
        SequencedEvent(
            position=place, originator_id=KEY, originator_version=place, recorded_at=at(recorded), event=event
        )
        for place, event in enumerate(events, start=1)
    ]


def folded(*events: Event, recorded: float = 0) -> list[HistoryRow]:
    return fold({}, None, sequenced(*events, recorded=recorded))


def test_a_row_names_the_event_s_place_and_who_acted() -> None:
    (row,) = folded(created(actor=ACTOR, subject="org_9"))

    assert (row.position, row.originator_id, row.originator_version) == (1, KEY, 1)
    assert (row.topic, row.subject) == ("KeyCreated", "org_9")
    assert Actor(**{field: getattr(row, field) for field in Actor.__struct_fields__}) == ACTOR


def test_the_subject_is_the_one_after_the_event() -> None:
    rows = folded(created(subject="a"), updated(subject="b"), updated(description="x"), used(1), revoked())

    assert [row.subject for row in rows] == ["a", "b", "b", "b", "b"]


def test_an_event_after_the_revocation_says_so() -> None:
    rows = folded(created(), used(1), revoked(), used(2))

    assert [row.revoked for row in rows] == [False, False, False, True]


def test_what_was_before_is_carried_on() -> None:
    before = {KEY: KeyState(subject="b", revoked=True)}

    (row,) = fold(before, at(9), sequenced(used(5)))

    assert (row.subject, row.revoked, row.high_at) == ("b", True, at(9))
    assert before == {KEY: KeyState(subject="b", revoked=True)}


def test_a_stream_that_does_not_begin_with_a_creation_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent, match="position 1: the stream begins with a KeyUsed"):
        folded(used(1))


def test_an_event_has_an_entry_a_use_and_one_for_the_attempts_that_were_only_counted() -> None:
    rows = folded(created(), used(1), used(1, 5, 3), used(2, refused_unlisted=7))

    assert [row.entries for row in rows] == [1, 1, 3, 2]


def test_the_first_and_the_last_moment_are_those_of_the_entries_in_any_order() -> None:
    row = folded(created(), used(2, 5, 1, 3))[1]

    assert (row.first_at, row.last_at) == (at(1), at(5))


def test_high_at_never_falls_and_is_the_latest_moment_so_far() -> None:
    rows = folded(created(), used(9), used(3), used(10))

    assert [row.high_at for row in rows] == [T0, at(9), at(9), at(10)]


def test_an_event_that_begins_long_before_the_latest_moment_is_a_stray() -> None:
    spread = SPREAD.total_seconds()
    rows = folded(created(), used(100), used(100 - spread), used(100 - spread - 1e-6), used(30, 100), recorded=100)

    assert [row.stray for row in rows] == [False, False, False, True, True]


def test_a_moment_that_the_database_s_clock_does_not_bear_out_makes_a_stray_of_its_event_alone() -> None:
    spread = SPREAD.total_seconds()
    rows = folded(created(), used(spread), used(86_400), used(spread), recorded=0)

    assert [row.high_at for row in rows] == [T0, *3 * [at(spread)]]
    assert [row.stray for row in rows] == [False, False, True, False]


def recorded(event: Event, **fields: object) -> RecordedEvent:
    plain = {"position": 7, "originator_id": KEY, "subject": "org_1", "revoked": False, "recorded_at": T0}
    return RecordedEvent(**(plain | {"event": event} | fields))  # type: ignore[arg-type]


def test_entries_come_in_the_order_of_the_indexes_and_each_has_its_own_moment() -> None:
    found = list(entries(recorded(used(1, 2, 4)), [2, 0]))

    assert [(entry.position, entry.index, entry.occurred_at) for entry in found] == [(7, 2, at(4)), (7, 0, at(1))]
    assert [entry.details["path"] for entry in found] == ["/4", "/1"]


def test_the_attempts_that_were_only_counted_are_the_last_entry_at_the_event_s_moment() -> None:
    event = used(1, 2, refused_unlisted=90, outcome="expired")

    (entry,) = entries(recorded(event), [2])

    assert (entry.details, entry.occurred_at) == ({"refused_unlisted": 90}, at(1))


@pytest.mark.parametrize(("outcome", "told"), [("valid", True), ("revoked", False)])
def test_only_an_accepted_use_is_told_to_be_after_the_revocation(outcome: Outcome, told: bool) -> None:
    (entry,) = entries(recorded(used(1, outcome=outcome), revoked=True), [0])

    assert entry.details.get("recorded_after_revocation", False) is told


def test_details_are_told_in_the_form_that_callers_know() -> None:
    (made,) = entries(recorded(created(actor=ACTOR)), [0])
    (changed,) = entries(recorded(updated(claims='{"a":[1]}', expiration=None, scopes=("x",))), [0])

    assert (made.details["claims"], made.details["scopes"]) == ({"plan": "free"}, ["read", "write"])
    assert made.actor == ACTOR
    assert "digest" not in made.details
    assert changed.details == {"changes": {"claims": {"a": [1]}, "expiration": None, "scopes": ["x"]}}


class KeyRotated(Event, frozen=True, kw_only=True, array_like=True):
    """An event of which the history knows nothing."""

    topic: ClassVar[str] = "KeyRotated"

    why: str
    expiration: datetime | None
    digest: Digest


def test_an_event_type_that_the_history_knows_nothing_of_is_told_field_by_field() -> None:
    digest = Digest(algorithm="hmac-sha256-v1", kid="none", value=bytes(32))
    rotated = KeyRotated(id=new_uuid(), occurred_at=at(1), actor=ACTOR, why="old", expiration=at(9), digest=digest)

    row = folded(created(), rotated)[1]
    (entry,) = entries(recorded(rotated), range(row.entries))

    assert (row.topic, row.user_id, row.entries) == ("KeyRotated", "user_1", 1)
    assert (entry.event_type, entry.details) == ("KeyRotated", {"why": "old", "expiration": at(9)})
    assert what_text(entry) == "why 'old', expiration 2026-11-23 12:00:09Z"


SECONDS = st.integers(-200, 200) | st.sampled_from([-100_000, 100_000])
EVENTS = st.one_of(
    st.builds(
        lambda seconds, unlisted, outcome: used(*seconds, refused_unlisted=unlisted, outcome=outcome),
        st.lists(SECONDS, min_size=1, max_size=4),
        st.integers(0, 2),
        st.sampled_from(get_args(Outcome)),
    ),
    st.builds(lambda subject, seconds: updated(seconds, subject=subject), st.sampled_from("ab"), SECONDS),
    st.builds(lambda seconds: revoked(seconds=seconds), SECONDS),
)


@st.composite
def histories(draw: st.DrawFn) -> list[SequencedEvent]:
    """Two keys' streams, interleaved, with clocks that are right and wrong."""
    later = draw(st.lists(st.tuples(st.sampled_from([KEY, OTHER]), EVENTS, SECONDS), max_size=12))
    found: list[SequencedEvent] = []
    for key, event, seconds in [(KEY, created(), 0), (OTHER, created(subject="b"), 0), *later]:
        version = 1 + sum(each.originator_id == key for each in found)
        place = len(found) + 1
        moment = at(seconds)
        found.append(
            SequencedEvent(
                position=place, originator_id=key, originator_version=version, recorded_at=moment, event=event
            )
        )
    return found


@forall(histories(), st.lists(st.integers(0, 14)).map(sorted))
def test_however_the_events_are_cut_into_batches_the_rows_are_the_same(
    events: list[SequencedEvent], cuts: list[int]
) -> None:
    rows: list[HistoryRow] = []
    for start, end in pairwise([0, *cuts, len(events)]):
        last = {row.originator_id: row for row in rows}
        before = {
            key: KeyState(subject=row.subject, revoked=row.revoked or row.topic == "KeyRevoked")
            for key, row in last.items()
        }
        rows += fold(before, rows[-1].high_at if rows else None, events[start:end])

    assert rows == fold({}, None, events)


@forall(histories(), SECONDS, SECONDS)
def test_a_span_of_time_lies_within_its_positions_but_for_strays(
    events: list[SequencedEvent], begin: int, seconds: int
) -> None:
    since, until = at(begin), at(begin) + timedelta(seconds=abs(seconds))
    rows = fold({}, None, events)
    assert [row.high_at for row in rows] == sorted(row.high_at for row in rows)

    for row, each in zip(rows, events, strict=True):
        if any(since <= moment < until for moment in moments(each.event)) and not row.stray:
            assert since <= row.high_at < until + SPREAD


@forall(histories())
def test_every_entry_lies_within_its_row(events: list[SequencedEvent]) -> None:
    for row, each in zip(fold({}, None, events), events, strict=True):
        found = list(entries(recorded(each.event), range(row.entries)))
        assert {entry.index for entry in found} == set(range(row.entries))
        assert min(entry.occurred_at for entry in found) == row.first_at
        assert max(entry.occurred_at for entry in found) == row.last_at
