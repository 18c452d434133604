"""Refused attempts: listed or counted, in a memory that does not grow with the keys that are tried."""

import pytest

from keyledger.infrastructure.uses import refused_attempts
from keyledger.infrastructure.uses.refused_attempts import RefusedAttempts


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> RefusedAttempts:
    monkeypatch.setattr(refused_attempts, "_MOST_KEYS", 3)
    return RefusedAttempts(limit_per_key=2, interval_seconds=3600)


def test_of_each_key_so_many_are_listed_and_the_rest_counted(attempts: RefusedAttempts) -> None:
    assert [attempts.lists(7) for _ in range(5)] == [True, True, False, False, False]
    assert attempts.take_unlisted() == {7: 3}
    assert not attempts.take_unlisted()


def test_of_more_keys_than_there_is_room_for_only_how_many_attempts_there_were_is_known(
    attempts: RefusedAttempts,
) -> None:
    listed = [number for number in range(100) if attempts.lists(number)]
    assert listed == [0, 1, 2]
    assert attempts.take_unlisted() == {3: 1, 4: 1, 5: 1}
    assert attempts.uncounted == 100 - 6
