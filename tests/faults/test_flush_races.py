"""Uses are flushed from several processes while their keys are changed and revoked."""

import random
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from support.invariants import accepted_uses, assert_consistent, count_uses, topics
from support.program import Program, together
from support.waiting import eventually

from keyledger import KeyLedger, LedgerClosed, Use

VERIFIER = """
ledger = KeyLedger.open(dsn, settings=Settings(flush_interval_seconds=0.002, database_timeout_seconds=20.0))
accepted, refusals = [], [0]
say("ready")
def work(thread):
    number = 0
    while True:
        use = Use(request_id=f"{name}-{thread}-{number}")
        found = ledger.verify(secret, use=use)
        number += 1
        if found.valid:
            accepted.append(use.request_id)
        else:
            assert found.code == "revoked", found.code
            return
workers = [threading.Thread(target=work, args=(number,)) for number in range(2)]
for worker in workers: worker.start()
for worker in workers: worker.join()
ledger.close()
say(accepted)
"""

FLUSHER = """
import random
from uuid import UUID
from keyledger.domain.ids import halves
ledger = KeyLedger.open(dsn, settings=Settings(
    flush_interval_seconds=3600.0, database_timeout_seconds=30.0, refused_limit_per_key=flushes
))
recorder, recorded = ledger._recorder, []
say("ready")
hear()
for flush in range(flushes):
    for key_id in random.sample(key_ids, len(key_ids) - 20):
        request_id = f"{name}-{flush}-{key_id}"
        outcome = random.choice(["valid", "valid", "expired"])
        recorder.record(*halves(UUID(key_id)), outcome, Use(request_id=request_id))
    recorder.flush()
say("flushed")
ledger.close()
"""


def test_uses_of_one_key_from_four_processes_survive_its_updates_and_its_revocation(
    ledger: KeyLedger, dsn: str, start: Callable[..., Program]
) -> None:
    key = ledger.api_keys.create(name="busy", subject="org_1")
    programs = [start(VERIFIER, dsn=dsn, secret=key.secret, name=name) for name in "abcd"]
    assert [program.says() for program in programs] == ["ready"] * 4

    for number in range(20):
        assert ledger.api_keys.update(key.id, description=f"change {number}").description == f"change {number}"
    revoked = ledger.api_keys.revoke(key.id, revocation_reason="enough")

    accepted = [request_id for program in programs for request_id in program.says()]
    assert revoked.revocation_reason == "enough"
    assert len(accepted) > 20
    recorded = accepted_uses(dsn)
    assert {request_id: recorded.pop(request_id) for request_id in accepted} == dict.fromkeys(accepted, 1)
    # One of each thread may have been overtaken by the revocation when it was recorded already.
    assert set(recorded.values()) <= {1}
    assert len(recorded) <= 2 * len(programs)
    found = topics(dsn, key.id)
    assert (found.count("KeyUpdated"), found.count("KeyRevoked")) == (20, 1)
    assert found.count("KeyUsed") >= 8
    assert_consistent(dsn)


@pytest.mark.parametrize("flushes", [8, pytest.param(150, marks=pytest.mark.slow)])
def test_flushes_of_overlapping_keys_beside_revocations_neither_deadlock_nor_lose_a_use(
    flushes: int, ledger: KeyLedger, dsn: str, start: Callable[..., Program]
) -> None:
    deadlocks_before = deadlocks(dsn)
    ids = [ledger.api_keys.create(name=f"key {number}", subject="org_1").id for number in range(200)]
    key_ids = [key_id.removeprefix("ak_") for key_id in ids]
    programs = [start(FLUSHER, dsn=dsn, key_ids=key_ids, name=name, flushes=flushes) for name in "abcd"]
    assert [program.says() for program in programs] == ["ready"] * 4

    for program in programs:
        program.tell("go")
    for key_id in random.sample(ids, 100):
        assert ledger.api_keys.revoke(key_id, revocation_reason="enough").revocation_reason == "enough"

    assert [program.says() for program in programs] == ["flushed"] * 4
    assert [program.finish() for program in programs] == [0] * 4
    assert set(accepted_uses(dsn).values()) == {1}
    assert ledger.api_keys.get_all(subject="org_1").total_count == 100
    assert count_uses(dsn) == 4 * flushes * 180
    assert deadlocks(dsn) == deadlocks_before
    assert_consistent(dsn)


def test_an_accepted_use_while_the_ledger_is_closed_is_stored_or_not_accepted(
    open_ledger: Callable[[], KeyLedger], dsn: str
) -> None:
    accepted: list[str] = []
    for _ in range(6):
        ledger = open_ledger()
        key = ledger.api_keys.create(name="closing", subject="org_1")
        results = together(
            [*[partial(verify_until_closed, ledger, str(key.secret), accepted)] * 8, partial(close, ledger)]
        )
        assert results == [None] * 9

    stored = accepted_uses(dsn)
    assert not [request_id for request_id in accepted if request_id not in stored]


def verify_until_closed(ledger: KeyLedger, secret: str, accepted: list[str]) -> None:
    for _ in range(10_000):
        request_id = uuid4().hex
        try:
            ledger.verify(secret, use=Use(request_id=request_id))
        except LedgerClosed:
            return
        accepted.append(request_id)


def close(ledger: KeyLedger) -> None:
    eventually(lambda: ledger._recorder.depth)
    ledger.close()


def deadlocks(dsn: str) -> int:
    """How many deadlocks the server has broken in this database."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])
