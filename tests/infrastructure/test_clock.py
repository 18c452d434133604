"""Waiting out a time, so that how long anything took does not show."""

from itertools import accumulate, chain, repeat

from hypothesis import given
from hypothesis import strategies as st

from keyledger.infrastructure.verifying.clock import LITTLE, monotonic, wait_out


@given(took=st.integers(1, 1000), step=st.integers(1, 30))
def test_it_returns_a_little_after_a_whole_number_of_such_times(took: int, step: int) -> None:
    moments = accumulate(chain([took], repeat(step)))
    seen: list[int] = []

    def clock() -> float:
        seen.append(next(moments))
        return seen[-1]

    wait_out(100, clock, 0)

    whole = -(-took // 100) * 100
    assert whole <= seen[-1] < whole + 100 * LITTLE + step


def test_of_no_time_nothing_is_waited_out() -> None:
    wait_out(0.0, monotonic, monotonic() - 1.0)
