"""How long the worker rests between its rounds: no commit of another process wakes it."""

import time

import pytest

from keyledger import KeyLedger, Settings
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following import worker as module
from keyledger.infrastructure.following.worker import Worker
from keyledger.infrastructure.read_models import READ_MODELS

ALERT, AWAKE = 0.008, 0.128


class Clock:
    """The worker's, which may be put ahead."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def worker(database: Database) -> Worker:
    return Worker(database, EventCodec(), READ_MODELS, enabled=False)


def test_it_rests_briefly_for_some_seconds_after_events_and_longer_and_longer_then(
    worker: Worker, clock: Clock, dsn: str
) -> None:
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as other:
        other.api_keys.create(name="a key", subject="user_1")

    assert longest_rest(worker) == ALERT

    clock.ahead = 3600.0
    assert longest_rest(worker) == 0.5


def test_after_events_of_which_it_was_told_it_rests_longer_as_the_next_ones_wake_it(
    worker: Worker, clock: Clock, dsn: str
) -> None:
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as other:
        other.api_keys.create(name="a key", subject="user_1")
        worker.wake()
        assert longest_rest(worker) == AWAKE

        other.api_keys.create(name="another", subject="user_1")
        assert longest_rest(worker) == ALERT

        clock.ahead = 3600.0
        other.api_keys.create(name="a third", subject="user_1")
        worker.wake()
        assert longest_rest(worker) == AWAKE

    clock.ahead = 7200.0
    assert longest_rest(worker) == 0.5


def longest_rest(worker: Worker) -> float:
    pauses = [worker._round(0.0)]
    for _ in range(9):
        pauses.append(worker._round(pauses[-1]))
    assert pauses == sorted(pauses)
    return pauses[-1]
