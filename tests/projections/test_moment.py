"""Moments of the past: which events held at a time, and the last use before it."""

from datetime import timedelta

from support.streams import at, created, past, revoked, updated

from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.projections.moment import PastEvent, fold, held, key_of, latest_use


def used(*seconds: float, refused: tuple[float, ...] = ()) -> KeyUsed:
    uses = [RecordedUse(occurred_at=at(each), outcome="valid", use=Use()) for each in seconds]
    uses += [RecordedUse(occurred_at=at(each), outcome="revoked", use=Use()) for each in refused]
    return KeyUsed.of(uses, id=new_uuid())


def versions(events: list[PastEvent], seconds: float) -> list[int]:
    return [event.originator_version for event in held(events, at(seconds))]


def test_an_event_holds_from_when_it_occurred_by_the_services_clock() -> None:
    events = past((created(), at(4)), (updated(7), at(3)))

    assert [versions(events, seconds) for seconds in (-0.1, 0, 6.9, 7)] == [[], [1], [1], [1, 2]]


def test_a_clock_that_is_too_far_off_is_not_believed() -> None:
    events = past((created(), at(0)), (revoked(seconds=-3600), at(30)), (revoked(seconds=3600), at(50)))

    assert [versions(events, seconds) for seconds in (29, 30, 49, 50)] == [[1], [1, 2], [1, 2], [1, 2, 3]]


def test_a_clock_that_differs_by_ten_seconds_is_believed_just_yet() -> None:
    events = past((created(), at(10)), (updated(40), at(30)), (updated(60), at(71)))

    assert [versions(events, seconds) for seconds in (0, 39, 40, 70, 71)] == [[1], [1], [1, 2], [1, 2], [1, 2, 3]]


def test_a_later_event_of_a_key_never_holds_before_an_earlier_one() -> None:
    events = past((created(), at(0)), (updated(9), at(5)), (revoked(seconds=6), at(6)))

    assert [versions(events, seconds) for seconds in (8, 9)] == [[1], [1, 2, 3]]


def test_without_a_time_everything_holds() -> None:
    events = past((created(), at(0)), (updated(9), at(5)))

    assert list(held(events, None)) == events
    assert key_of(events[:0]) is None


def test_the_latest_use_is_the_latest_of_those_that_were_accepted() -> None:
    event = used(1, 5, 3, refused=(7,))

    assert latest_use(event) == at(5)
    assert [latest_use(event, at(seconds)) for seconds in (0.9, 1, 3, 4.999, 5, 9)] == [
        None,
        *map(at, (1, 3, 3, 5, 5)),
    ]
    assert latest_use(event, at(3) + timedelta(microseconds=-1)) == at(1)


def test_a_whole_stream_makes_a_key_with_its_last_use() -> None:
    events = past((created(), at(0)), (used(5, 9), at(10)), (used(2), at(11)), (updated(12, scopes=()), at(12)))

    found = fold(events)

    assert found is not None
    assert (found.last_used_at, found.key.scopes, found.key.version) == (at(9), (), 4)
    assert fold([]) is None
