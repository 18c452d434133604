"""What differs between two moments of a key, and the last event that is responsible."""

from datetime import datetime

import pytest
from support.streams import at, created, past, revoked, updated

from keyledger.domain.events import Event
from keyledger.projections.difference import Difference, differences
from keyledger.projections.moment import Moment, PastEvent, PastKey, held, key_of

FOREVER = {"expiration": None}


def moment(seconds: float) -> Moment:
    return Moment(position=None, time=at(seconds), judged_at=at(seconds))


def found(
    *events: tuple[Event, datetime], start: float, end: float, subject: str | None = None
) -> list[tuple[str, int | None, datetime]]:
    """The differences between two moments, each with the version of the event and when."""
    stream = past(*events)

    def state(seconds: float) -> tuple[PastKey | None, int]:
        some = list(held(stream, at(seconds)))
        key = key_of(some)
        return None if key is None else PastKey(key=key, last_used_at=None), len(some)

    (before, begin), (after, stop) = state(start), state(end)
    changes: list[Difference] = differences(
        before, after, stream[begin:stop], start=moment(start), end=moment(end), subject=subject
    )
    return [(each.kind, version(each.event), each.moment) for each in changes]


def version(event: PastEvent | None) -> int | None:
    return None if event is None else event.originator_version


def recorded(event: Event) -> tuple[Event, datetime]:
    return event, event.occurred_at


def test_a_key_that_expired_before_it_was_revoked_was_lost_by_expiring() -> None:
    events = [recorded(created(expiration=at(10))), recorded(revoked(seconds=20))]

    assert found(*events, start=1, end=15) == [("lost", None, at(10))]
    assert found(*events, start=1, end=25) == [("lost", None, at(10))]
    assert found(*events, start=11, end=25) == []


def test_a_key_that_came_back_is_lost_by_what_took_it_at_last() -> None:
    events = [
        recorded(created(expiration=at(10))),
        recorded(updated(20, expiration=at(30))),
        recorded(updated(40, expiration=at(50))),
        recorded(revoked(seconds=45)),
    ]

    assert found(*events, start=1, end=35) == [("lost", 2, at(30))]
    assert found(*events, start=1, end=46) == [("lost", 4, at(45))]
    assert found(*events, start=11, end=21) == [("gained", 2, at(20))]
    assert found(*events, start=11, end=44) == [("gained", 3, at(40))]
    assert found(*events, start=1, end=44) == [("widened", 3, at(40))]
    assert found(*events, start=11, end=60) == []


def test_a_key_that_was_given_a_shorter_term_was_lost_by_that() -> None:
    events = [
        recorded(created(**FOREVER)),
        recorded(updated(10, expiration=at(30))),
        recorded(updated(20, description="of no account")),
    ]

    assert found(*events, start=1, end=35) == [("lost", 2, at(30))]
    assert found(*events, start=15, end=35) == [("lost", None, at(30))]
    assert found(*events, start=1, end=25) == [("narrowed", 2, at(10))]


def test_scopes_that_came_and_went_are_no_difference() -> None:
    events = [
        recorded(created(scopes=("a",), **FOREVER)),
        recorded(updated(10, scopes=("a", "b"))),
        recorded(updated(20, scopes=("a", "b", "c"))),
        recorded(updated(30, scopes=("a", "c"))),
        recorded(updated(40, description="of no account")),
    ]

    assert found(*events, start=1, end=50) == [("widened", 3, at(20))]
    assert found(*events, start=11, end=50) == [("widened", 3, at(20)), ("narrowed", 4, at(30))]
    assert found(*events, start=31, end=50) == []


@pytest.mark.parametrize(
    ("first", "then", "kinds"),
    [
        (None, 90, ["narrowed"]),
        (90, None, ["widened"]),
        (90, 95, ["widened"]),
        (95, 90, ["narrowed"]),
        (None, None, []),
    ],
)
def test_a_longer_life_is_wider_and_a_shorter_one_narrower(
    first: float | None, then: float | None, kinds: list[str]
) -> None:
    one, other = (None if seconds is None else at(seconds) for seconds in (first, then))
    events = [recorded(created(expiration=one)), recorded(updated(10, expiration=other))]

    assert [kind for kind, *_ in found(*events, start=1, end=20)] == kinds


def test_a_subject_loses_what_moves_away_and_gains_what_comes() -> None:
    events = [
        recorded(created(subject="org_1", **FOREVER)),
        recorded(updated(10, subject="org_2")),
        recorded(updated(20, subject="org_1")),
        recorded(updated(30, subject="org_2", scopes=("read",))),
    ]

    assert found(*events, start=1, end=15, subject="org_1") == [("lost", 2, at(10))]
    assert found(*events, start=1, end=25, subject="org_1") == []
    assert found(*events, start=1, end=35, subject="org_1") == [("lost", 4, at(30))]
    assert found(*events, start=-1, end=35, subject="org_2") == [("gained", 4, at(30))]
    assert found(*events, start=1, end=25) == []
    assert found(*events, start=1, end=35) == [("narrowed", 4, at(30))]
    assert found(*events, start=1, end=35, subject="org_3") == []


def test_what_was_created_and_revoked_in_between_is_no_difference() -> None:
    assert found(recorded(created()), recorded(revoked(seconds=5)), start=-1, end=10) == []
