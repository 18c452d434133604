"""Waiting out a time, so that how long anything took does not show."""

from itertools import accumulate, chain, repeat

from hypothesis import given
from hypothesis import strategies as st

from keyledger.infrastructure.verifying.clock import monotonic, wait_out


@given(took=st.integers(1, 1000), step=st.integers(1, 30))
def test_it_returns_at_the_first_look_after_a_whole_number_of_such_times(took: int, step: int) -> None:
    moments = accumulate(chain([took], repeat(step)))
    seen: list[int] = []

    def clock() -> float:
        seen.append(next(moments))
        return seen[-1]

    wait_out(100, clock, 0)

    whole = -(-took // 100) * 100
    assert whole <= seen[-1] < whole + step or len(seen) == 2
    assert all(moment < whole for moment in seen[1:-1])


def test_of_no_time_nothing_is_waited_out() -> None:
    wait_out(0.0, monotonic, monotonic() - 1.0)
