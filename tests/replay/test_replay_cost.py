"""Replay reads what is asked of it, not the ledger: neither all uses of a key nor the other keys."""

import random
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from support.histories import START
from support.long_streams import Reads, analyze, fill
from support.streams import revoked, stream

from keyledger.domain.events import Event
from keyledger.domain.ids import key_id_text
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.replay import Replay

USES, OTHERS = 20_000, 2_000
FEW = 250
"""Rows and index entries; a key's uses, and the other keys, are far more."""


@pytest.fixture
def key_id(dsn: str, database: Database) -> UUID:
    key_id = fill(dsn, START, uses=USES, others=OTHERS)
    Sequencer(database).catch_up()
    analyze(dsn)
    return key_id


@pytest.fixture
def reads(database: Database, key_id: UUID) -> Reads:
    return Reads(database)


def second(number: float) -> datetime:
    return START + timedelta(seconds=number)


def append(dsn: str, key_id: UUID, version: int, event: Event, recorded_at: datetime) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO keyledger.events (originator_id, originator_version, topic, state, recorded_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            (key_id, version, event.topic, EventCodec().encode(event), recorded_at),
        )
        connection.execute(
            "INSERT INTO keyledger.outbox (originator_id, originator_version, topic) VALUES (%s, %s, %s)",
            (key_id, version, event.topic),
        )


def test_a_key_at_any_time_is_found_without_reading_its_uses(replay: Replay, key_id: UUID, reads: Reads) -> None:
    for number in random.Random(1).sample(
        range(1, USES), 12
    ):  # often enough for a plan that fits no key in particular
        found = replay.key_as_of(key_id_text(key_id), second(number + 0.5))
        assert found is not None
        assert found.last_used_at == second(number)
        assert reads.count() < FEW


def test_a_key_at_any_position_is_found_without_reading_its_uses(
    replay: Replay, key_id: UUID, reads: Reads
) -> None:
    for number in random.Random(2).sample(range(1, USES), 12):
        found = replay.key_as_of(key_id_text(key_id), OTHERS + 1 + number)
        assert found is not None
        assert found.last_used_at == second(number)
        assert reads.count() < FEW


def test_a_quiet_key_beside_a_busy_one_is_found_without_reading_what_came_after_it(
    dsn: str, database: Database, replay: Replay
) -> None:
    fill(dsn, START, uses=USES, others=1)
    Sequencer(database).catch_up()
    analyze(dsn)
    (quiet,) = replay.keys_as_of(1)
    reads = Reads(database)

    for number in random.Random(3).sample(range(1, USES), 12):
        for at in (1 + number, second(number)):
            assert replay.key_as_of(quiet.id, at) == quiet
            assert reads.count() < FEW


def test_a_subjects_keys_are_found_without_reading_uses_or_the_keys_of_others(
    replay: Replay, key_id: UUID, reads: Reads
) -> None:
    for at in (second(USES / 2), OTHERS + USES // 2):
        assert [key.id for key in replay.keys_as_of(at, subject="org_1")] == [key_id_text(key_id)]
        assert reads.count() < FEW


def test_the_keys_of_an_early_position_are_found_without_reading_later_ones(
    replay: Replay, key_id: UUID, reads: Reads
) -> None:
    assert len(list(replay.keys_as_of(3))) == 3
    assert reads.count() < FEW


def test_a_diff_over_uses_alone_reads_nearly_nothing(replay: Replay, key_id: UUID, reads: Reads) -> None:
    for span in ((second(100), second(USES)), (OTHERS + 100, OTHERS + USES)):
        assert list(replay.diff(*span)) == []
        assert reads.count() < FEW


def test_a_diff_reads_the_keys_that_changed_and_no_others(
    dsn: str, database: Database, replay: Replay, key_id: UUID
) -> None:
    (event,) = stream(revoked())
    last = second(USES + 100)
    append(dsn, key_id, USES + 2, event.event, last)
    head = Sequencer(database).catch_up()
    reads = Reads(database)

    for span in ((last - timedelta(hours=1), last), (head - 1_000, head)):
        (change,) = replay.diff(*span)
        assert (change.kind, change.api_key_id, change.position) == ("lost", key_id_text(key_id), head)
        assert reads.count() < FEW
