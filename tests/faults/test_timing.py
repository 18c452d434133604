"""How long a wrong secret takes does not tell what is wrong with it (by dudect's method: Reparaz et al., 2017)."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from math import sqrt
from statistics import fmean, variance
from types import FrameType
from typing import Any

import pytest

from keyledger import KeyLedger
from keyledger.domain.ids import new_uuid
from keyledger.domain.secret import ALPHABET, CHECKSUM_DIGITS, ID, LENGTH, checksum, generate
from keyledger.infrastructure.verifying.clock import wait_out

KEYS = 200
FIRST, LAST = ID.stop, LENGTH - CHECKSUM_DIGITS - 1
KEPT = [0.5, 0.8, 0.9]
"""Parts of the measurements that are looked at, the quickest ones: the rest was held up by something else."""

TELLING = 4.5
CALLS = [pytest.param(100_000, id="short"), pytest.param(1_000_000, id="a million")]

Classes = tuple[list[str], list[str]]
Steps = tuple[tuple[str, int], ...]


def wrong_at(secret: str, place: int) -> str:
    """The secret with another character at a place, and the checksum that goes with it."""
    other = ALPHABET[(ALPHABET.index(secret[place]) + 1) % len(ALPHABET)]
    body = secret[:place] + other + secret[place + 1 : -CHECKSUM_DIGITS]
    return body + checksum(body)


def measured(verify: Callable[[str], object], classes: Classes, calls: int) -> tuple[list[int], list[int]]:
    """Nanoseconds of calls in an order of chance, by class."""
    halves = [(number, each[:40], each[40:]) for number, some in enumerate(classes) for each in some]
    found: tuple[list[int], list[int]] = ([], [])
    clock = time.perf_counter_ns
    for number, head, tail in random.choices(halves, k=calls):
        secret = head + tail  # anew, so that none has a place in memory of its own
        start = clock()
        verify(secret)
        found[number].append(clock() - start)
    return found


def most_telling_t(ledger: KeyLedger, classes: Classes, calls: int) -> float:
    """The largest |t| there is between two classes of wrong secrets."""
    for _ in range(2):  # what is not in memory yet is asked for
        assert {ledger.verify(secret).code for some in classes for secret in some} == {"not_found"}
    found = measured(ledger.verify, classes, calls)
    return max(abs(welch_t(*found, kept)) for kept in KEPT)


def welch_t(one: list[int], other: list[int], kept: float) -> float:
    """Welch's t of the quickest part of two samples."""
    both = sorted([*one, *other])
    most = both[int(len(both) * kept) - 1]
    first, second = ([value for value in sample if value <= most] for sample in (one, other))
    return (fmean(first) - fmean(second)) / sqrt(variance(first) / len(first) + variance(second) / len(second))


@pytest.fixture
def secrets(ledger: KeyLedger) -> list[str]:
    """Secrets of keys that are in memory."""
    found = [str(ledger.api_keys.create(name="one", subject="org_1").secret) for _ in range(KEYS)]
    ledger.catch_up()
    assert {ledger.verify(secret).code for secret in found} == {"valid"}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("calls", CALLS)
def test_how_long_a_wrong_secret_takes_does_not_tell_where_it_is_wrong(
    ledger: KeyLedger, secrets: list[str], calls: int
) -> None:
    first, last = ([wrong_at(secret, place) for secret in secrets] for place in (FIRST, LAST))

    assert most_telling_t(ledger, (first, last), calls) < TELLING


@pytest.mark.slow
@pytest.mark.parametrize("calls", CALLS)
def test_how_long_a_wrong_secret_takes_does_not_tell_whether_its_key_exists(
    ledger: KeyLedger, secrets: list[str], calls: int
) -> None:
    known = [wrong_at(secret, FIRST) for secret in secrets]
    unknown = [generate(new_uuid()) for _ in secrets]

    assert most_telling_t(ledger, (known, unknown), calls) < TELLING


def test_a_wrong_secret_goes_the_same_steps_whether_its_key_exists_or_not(ledger: KeyLedger) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")
    ledger.catch_up()
    assert ledger.verify(str(key.secret)).valid
    known, unknown = wrong_at(str(key.secret), FIRST), generate(new_uuid())
    for secret in [known, unknown] * 50:  # the first of each are asked for, so many that most are only counted
        assert ledger.verify(secret).code == "not_found"

    taken = steps(ledger.verify, known)
    assert len(taken) > 20
    assert taken == steps(ledger.verify, unknown)


def steps(verify: Callable[[str], object], secret: str) -> Steps:
    """Each line of ours that a verification runs, in order: of many, what most do."""
    found: Counter[Steps] = Counter()
    lines: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        if event == "line" and "keyledger" in code.co_filename and code.co_name != wait_out.__name__:
            lines.append((code.co_name, frame.f_lineno))
        return trace

    before = sys.gettrace()
    for _ in range(200):
        lines.clear()
        sys.settrace(trace)
        try:
            verify(secret)
        finally:
            sys.settrace(before)
        found[tuple(lines)] += 1
    return found.most_common(1)[0][0]
