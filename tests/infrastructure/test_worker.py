"""How long the worker rests between its rounds: no commit of another process wakes it."""

import time
from types import SimpleNamespace

import pytest

from keyledger import KeyLedger, Settings
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following import worker as module
from keyledger.infrastructure.following.worker import Worker
from keyledger.infrastructure.read_models import READ_MODELS

ALERT, AWAKE = 0.008, 0.128


def test_it_rests_briefly_for_some_seconds_after_events_and_longer_and_longer_then(
    database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, ahead = Worker(database, EventCodec(), READ_MODELS, enabled=False), 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead))
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as other:
        other.api_keys.create(name="a key", subject="user_1")

    assert longest_rest(worker) == ALERT

    ahead = 3600.0
    assert longest_rest(worker) == 0.5


def test_after_events_of_which_it_was_told_it_rests_longer_as_the_next_ones_wake_it(
    database: Database, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, ahead = Worker(database, EventCodec(), READ_MODELS, enabled=False), 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead))

    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as other:
        other.api_keys.create(name="a key", subject="user_1")
        worker.wake()
        assert longest_rest(worker) == AWAKE

        other.api_keys.create(name="another", subject="user_1")
        assert longest_rest(worker) == ALERT

        ahead = 3600.0
        other.api_keys.create(name="a third", subject="user_1")
        worker.wake()
        assert longest_rest(worker) == AWAKE

    ahead = 7200.0
    assert longest_rest(worker) == 0.5


def longest_rest(worker: Worker) -> float:
    pauses = [worker._round(0.0)]
    for _ in range(9):
        pauses.append(worker._round(pauses[-1]))
    assert pauses == sorted(pauses)
    return pauses[-1]
