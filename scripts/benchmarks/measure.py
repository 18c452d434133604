"""Measuring contenders in turn, so that whatever else the machine does hits them alike."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

Call = Callable[[int], object]
"""What is measured, given the number of the call."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The spread of one contender's figures: microseconds a call, or calls a second."""

    count: int
    median: float
    p10: float
    p90: float

    @classmethod
    def of(cls, values: list[float]) -> "Figures":
        """The spread of two values at least."""
        deciles = statistics.quantiles(values, n=10, method="inclusive")
        return cls(count=len(values), median=statistics.median(values), p10=deciles[0], p90=deciles[-1])


def latencies(contenders: Mapping[str, Call], calls: int, *, warm_up: int = 20) -> dict[str, Figures]:
    """Microseconds a call at one caller: A B, B A, A B … after a warm-up of the same form.

    Each contender is called with 0, 1, 2 … up to `warm_up + calls`.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders.items())
    for number in range(warm_up + calls):
        for name, call in order:
            start = time.perf_counter_ns()
            call(number)
            elapsed = time.perf_counter_ns() - start
            if number >= warm_up:
                found[name].append(elapsed / 1_000)
        order.reverse()
    return {name: Figures.of(values) for name, values in found.items()}


def throughputs(
    contenders: Mapping[str, Callable[[int, int], object]], *, callers: int, rounds: int, calls: int
) -> dict[str, list[float]]:
    """Calls a second in each round, in which every caller makes `calls` calls; the contenders take turns.

    A contender is called with the caller's number and a number that no other of its calls has. The first round
    is a warm-up and is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders.items())
    with ThreadPoolExecutor(callers) as pool:
        for turn in range(rounds + 1):
            for name, call in order:
                rate = _rate(pool, call, callers, calls, first=turn * callers * calls)
                if turn:
                    found[name].append(rate)
            order.reverse()
    return found


def _rate(
    pool: ThreadPoolExecutor, call: Callable[[int, int], object], callers: int, calls: int, *, first: int
) -> float:
    ready = threading.Barrier(callers + 1)

    def work(caller: int) -> None:
        ready.wait()
        for number in range(first + caller * calls, first + (caller + 1) * calls):
            call(caller, number)

    running = [pool.submit(work, caller) for caller in range(callers)]
    ready.wait()
    start = time.perf_counter()
    for future in running:
        future.result()
    return callers * calls / (time.perf_counter() - start)
