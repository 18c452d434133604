"""What is decided from memory on a key and on a field that are there, by the lease, the time and the cache."""

from math import inf
from typing import Any
from unittest.mock import sentinel

import pytest

from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.verifying.key_cache import KeyCache
from keyledger.infrastructure.verifying.lease import Lease
from keyledger.verification import Verification
from keyledger.verifying.recall import CachedKey, Recall

FIELD, DIGITS, PACKED, USE = b"Bearer x", "7" * 22, b"what is kept", Use()


class Memory:
    """A cache with one key, a lease and a clock, and the uses that were recorded."""

    def __init__(self, expires_at: float = inf) -> None:
        self.now = 100.0
        self.uses: list[Outcome] = []
        self.cache: KeyCache[Any] = KeyCache(10)
        self.cache.open("a server")
        self.keep(PACKED)
        self.lease = Lease(1.0, lambda: self.now)
        self.lease.grant(self.now, self.now)
        self.recall = Recall(
            self.cache,
            self.lease,
            self,
            lambda: self.now,
            allows=lambda _, wanted: "no" not in wanted,
            answer=_answer,
        )
        self.key = CachedKey(DIGITS, b"digest", expires_at, 1, 2, "valid", PACKED)

    def keep(self, packed: bytes) -> None:
        fill = self.cache.fill(DIGITS)
        self.cache.store(fill, packed)
        self.cache.finish(fill)

    def record(self, high: int, low: int, outcome: Outcome, use: Use) -> None:
        self.uses.append(outcome)

    def decide(self, *wanted: str) -> Verification | Outcome | None:
        return self.recall.decide(self.key, wanted, USE, self.now)

    def again(self, *wanted: str) -> Any:
        return self.recall.again(FIELD, wanted, USE)


def _answer(packed: bytes, code: Outcome) -> Verification:
    return Verification.of(code)


def test_a_key_is_accepted_and_its_use_recorded() -> None:
    memory = Memory()

    found = memory.decide("yes")

    assert isinstance(found, Verification)
    assert (found.code, memory.uses, memory.recall.hits) == ("valid", ["valid"], 1)
    assert memory.decide("yes") is found


def test_a_key_without_the_scopes_is_not() -> None:
    memory = Memory()
    memory.decide("yes")

    found = memory.decide("no")

    assert isinstance(found, Verification)
    assert (found.code, memory.uses) == ("insufficient_scope", ["valid", "insufficient_scope"])


def over(memory: Memory) -> None:
    memory.now += 1.0


def expired(memory: Memory) -> None:
    memory.now += 0.5


@pytest.mark.parametrize("comes", [over, expired])
@pytest.mark.parametrize("met", [True, False], ids=["met before", "not met"])
def test_when_the_lease_is_over_or_the_key_has_expired_nothing_is_decided_or_recorded(
    comes: Any, met: bool
) -> None:
    memory = Memory(expires_at=100.5)
    if met:
        memory.decide()
    memory.recall.keep(FIELD, memory.key, sentinel.key)
    before = list(memory.uses)

    comes(memory)

    assert (memory.decide(), memory.again()) == (None, None)
    assert memory.uses == before


def test_a_field_is_known_with_the_key_that_all_callers_have() -> None:
    memory = Memory()
    memory.recall.keep(FIELD, memory.key, sentinel.key)

    assert [memory.again(), memory.again()] == [sentinel.key] * 2
    assert memory.uses == ["valid"] * 2


def test_a_field_is_forgotten_once_something_else_is_kept_of_its_key() -> None:
    memory = Memory()
    memory.recall.keep(FIELD, memory.key, sentinel.key)

    memory.keep(b"something else")

    assert memory.again() is None
    memory.keep(PACKED)
    assert memory.again() is None
    assert memory.uses == []


def test_of_many_scopes_the_latest_are_known() -> None:
    memory = Memory()
    memory.recall.keep(FIELD, memory.key, sentinel.key)

    for number in range(20):
        memory.decide(str(number))

    assert [number for number in range(20) if memory.again(str(number)) is not None] == list(range(12, 20))
