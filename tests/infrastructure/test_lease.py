"""The lease: until when memory may be decided from, counted from the sending of the question."""

import math

import pytest

from keyledger.infrastructure.verifying.lease import Lease


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(clock: Clock) -> Lease:
    return Lease(1.0, clock)


def test_nothing_is_granted_at_first(lease: Lease) -> None:
    assert not lease.holds
    assert lease.age_seconds == math.inf


def test_it_counts_from_the_sending_however_late_the_answer_is(lease: Lease, clock: Clock) -> None:
    clock.now = 100.9
    lease.grant(100.0, 5000.0)
    assert lease.holds
    assert lease.age_seconds == pytest.approx(0.9)

    clock.now = 101.0
    assert not lease.holds


def test_an_answer_that_took_a_lease_grants_nothing(lease: Lease, clock: Clock) -> None:
    clock.now = 101.0
    lease.grant(100.0, 5000.0)
    assert not lease.holds


def test_it_is_over_a_little_early_for_clocks_that_are_slow_by_one_percent(lease: Lease, clock: Clock) -> None:
    lease.grant(100.0, 5000.0)
    clock.now = 100.0 + 0.99  # one second, by a clock that is slow
    assert not lease.holds


def test_the_databases_time_is_never_estimated_behind_what_it_was(lease: Lease, clock: Clock) -> None:
    lease.grant(100.0, 5000.4)  # the answer was made 0.4 s after the question, or the clocks differ so
    clock.now = 100.5
    assert clock() + lease.ahead_seconds == pytest.approx(5000.9)


def test_what_ended_holds_again_with_the_next_answer(lease: Lease, clock: Clock) -> None:
    lease.grant(100.0, 5000.0)
    lease.end()
    assert not lease.holds
    lease.grant(100.0, 5000.0)
    assert lease.holds


def test_what_was_suspended_is_granted_for_no_question_of_the_next_second(lease: Lease, clock: Clock) -> None:
    lease.suspend()
    for later in (0.0, 0.5, 1.0):
        clock.now = 100.0 + later
        lease.grant(clock.now, 5000.0)
        assert not lease.holds
    clock.now = 101.1
    lease.grant(clock.now, 5000.0)
    assert lease.holds


def test_a_forked_child_begins_without_one(lease: Lease) -> None:
    lease.grant(100.0, 5000.0)
    lease.begin()
    assert not lease.holds
