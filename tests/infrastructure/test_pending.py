"""Uses that wait, taken apart to be stored."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from keyledger.domain.use import OUTCOMES, Use
from keyledger.infrastructure.uses.journal import UseJournal
from keyledger.infrastructure.uses.pending import (
    NO_SLOT,
    Intake,
    Pending,
    Taker,
    accepted_span,
    by_key,
    columns,
    slots_of,
    take,
    waiting,
)

HALVES = st.sampled_from([0, 1, (1 << 63) + 5, (1 << 64) - 1])
MOMENTS = st.integers(0, 4_000_000_000 * 10**9)
USES = st.sampled_from([Use(), Use(path="/a"), Use(path="/b", request_id="r")])
SLOTS = st.integers(NO_SLOT, 1 << 20)
PENDING = st.lists(st.builds(waiting, HALVES, HALVES, MOMENTS, st.sampled_from(OUTCOMES), USES, SLOTS))


@given(PENDING)
def test_each_use_is_among_those_of_its_key_in_its_order(pending: list[Pending]) -> None:
    found = by_key(pending)

    assert found.keys() == {use.high << 64 | use.low for use in pending}
    for number, uses in found.items():
        assert uses == [use for use in pending if use.high << 64 | use.low == number]


@given(PENDING)
def test_what_is_stored_of_a_use_is_its_microsecond_its_outcome_and_its_request(pending: list[Pending]) -> None:
    moments, outcomes, requests = columns(pending)

    assert moments.tolist() == [use.moment // 1000 for use in pending]
    assert outcomes == [use.outcome for use in pending]
    assert requests == [use.use for use in pending]


@given(PENDING)
def test_what_has_no_slot_is_not_in_the_journal(pending: list[Pending]) -> None:
    assert slots_of(pending).tolist() == [use.slot for use in pending if use.slot != NO_SLOT]


@given(PENDING)
def test_the_first_and_the_last_accepted_use_are_found_in_any_order(pending: list[Pending]) -> None:
    moments, outcomes, _ = columns(pending)
    accepted = [moment for moment, outcome in zip(moments, outcomes, strict=True) if outcome == "valid"]

    assert accepted_span(moments, outcomes) == ((min(accepted), max(accepted)) if accepted else (None, None))


@given(PENDING, st.integers(0, 5))
def test_the_oldest_are_taken_and_the_others_wait_on(pending: list[Pending], most: int) -> None:
    waits = deque(pending)

    assert take(waits, most) + list(waits) == pending
    assert len(waits) == max(0, len(pending) - most)


def test_a_use_that_is_taken_note_of_waits_and_is_in_the_journal() -> None:
    intake, journal = Intake(), UseJournal(None, uses=4, shed_keys=1)
    taker = Taker(
        intake, journal, lambda: 1_700_000_000_123_456_789, refuse=lambda *_: None, make_room=lambda _: True
    )

    for low in range(3):
        taker.record((1 << 64) - 1, low, "valid", Use(path="/a"))

    assert [(use.high, use.low, use.moment, use.outcome) for use in intake.waiting] == [
        ((1 << 64) - 1, low, 1_700_000_000_123_456_789, "valid") for low in range(3)
    ]
    assert {use.use for use in intake.waiting} == {Use(path="/a")}
    assert [journal.low[use.slot] for use in intake.waiting] == [0, 1, 2]
    assert [journal.high[use.slot] for use in intake.waiting] == [(1 << 64) - 1] * 3
