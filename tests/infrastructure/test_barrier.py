"""The barrier: over as soon as every verifier has acknowledged it, and with the last lease at the latest."""

import pytest

from keyledger.domain.errors import LedgerUnavailable
from keyledger.infrastructure.verifying.barrier import Barrier


class Register:
    """A register whose verifiers answer after so many questions, and a clock that runs while somebody sleeps."""

    def __init__(self, waiting: list[int | None], *, lease_seconds: float = 1.0) -> None:
        self.waiting = waiting
        self.lease_seconds = lease_seconds
        self.now = 100.0
        self.asked: list[int] = []

    def raise_barrier(self) -> int:
        return 5

    def unacknowledged(self, barrier: int) -> tuple[int, float]:
        self.asked.append(barrier)
        found = self.waiting[min(len(self.asked), len(self.waiting)) - 1]
        if found is None:
            raise LedgerUnavailable("away")
        return found, self.lease_seconds

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def wait(self) -> float:
        """Wait behind a barrier, and return for how long."""
        begun = self.now
        Barrier(self, lambda: self.now, self.sleep).wait()
        return self.now - begun


def test_where_nobody_decides_it_is_over_at_once() -> None:
    register = Register([0])
    assert register.wait() == 0
    assert register.asked == [5]


def test_it_is_over_when_the_last_verifier_has_acknowledged() -> None:
    register = Register([2, 1, 1, 0])
    assert 0 < register.wait() < 0.5
    assert len(register.asked) == 4


@pytest.mark.parametrize("lease_seconds", [0.4, 1.0, 10.0])
def test_who_does_not_answer_is_waited_for_until_his_lease_is_over(lease_seconds: float) -> None:
    register = Register([1], lease_seconds=lease_seconds)
    assert register.wait() == pytest.approx(lease_seconds * 1.03)


def test_who_cannot_be_asked_any_more_is_waited_for_as_well() -> None:
    register = Register([1, None])
    assert register.wait() == pytest.approx(1.03)


def test_where_nobody_could_be_asked_at_all_it_fails() -> None:
    with pytest.raises(LedgerUnavailable):
        Register([None]).wait()
