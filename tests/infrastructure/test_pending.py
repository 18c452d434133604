"""Uses that wait, taken apart to be stored."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from keyledger.domain.use import OUTCOMES, NotedUse, Use
from keyledger.infrastructure.uses.pending import NO_SLOT, Pending, accepted_span, by_key, noted, slots_of, take

HALVES = st.sampled_from([0, 1, (1 << 63) + 5, (1 << 64) - 1])
MOMENTS = st.integers(0, 4_000_000_000 * 10**9)
USES = st.sampled_from([Use(), Use(path="/a"), Use(path="/b", request_id="r")])
SLOTS = st.integers(NO_SLOT, 1 << 20)
PENDING = st.lists(st.tuples(HALVES, HALVES, MOMENTS, st.sampled_from(OUTCOMES), USES, SLOTS))


@given(PENDING)
def test_each_use_is_among_those_of_its_key_in_its_order(pending: list[Pending]) -> None:
    found = by_key(pending)

    assert found.keys() == {high << 64 | low for high, low, *_ in pending}
    for number, uses in found.items():
        assert uses == [use for use in pending if use[0] << 64 | use[1] == number]


@given(PENDING)
def test_what_is_stored_of_a_use_is_its_microsecond_its_outcome_and_its_request(pending: list[Pending]) -> None:
    assert noted(pending) == [(moment // 1000, outcome, use) for _, _, moment, outcome, use, _ in pending]


@given(PENDING)
def test_refused_attempts_have_no_slot(pending: list[Pending]) -> None:
    assert slots_of(pending) == [slot for *_, slot in pending if slot != NO_SLOT]


@given(PENDING)
def test_the_first_and_the_last_accepted_use_are_found_in_any_order(pending: list[Pending]) -> None:
    uses: list[NotedUse] = noted(pending)
    moments = [moment for moment, outcome, _ in uses if outcome == "valid"]

    assert accepted_span(uses) == ((min(moments), max(moments)) if moments else (None, None))


@given(PENDING, st.integers(0, 5))
def test_the_oldest_are_taken_and_the_others_wait_on(pending: list[Pending], most: int) -> None:
    waiting = deque(pending)

    assert take(waiting, most) + list(waiting) == pending
    assert len(waiting) == max(0, len(pending) - most)
