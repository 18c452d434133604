"""The process that uses the ledger is killed, kill -9, at any moment."""

import random
import signal
import time
from collections.abc import Callable

import psycopg
import pytest
from faults.private_server import PrivateServer
from support.invariants import accepted_uses, assert_consistent, topics
from support.program import Program
from support.waiting import eventually

from keyledger import KeyLedger

CREATOR = """
ledger = KeyLedger.open(dsn, settings=QUICK)
key = ledger.api_keys.create(name="survivor", subject="org_1")
say([key.id, key.secret])
time.sleep(60)
"""
LOOP = """
ledger = KeyLedger.open(dsn, settings=Settings(flush_interval_seconds=0.002))
say("ready")
def live():
    while True:
        key = ledger.api_keys.create(name="short life", subject="org_1", idempotency_key=os.urandom(8).hex())
        ledger.verify(key.secret, use=Use(request_id=key.id))
        ledger.api_keys.update(key.id, description="new")
        ledger.api_keys.revoke(key.id)
        os.write(1, json.dumps(key.id).encode() + b"\\n")
for _ in range(3): threading.Thread(target=live, daemon=True).start()
time.sleep(60)
"""


def test_a_key_outlives_the_kill_of_its_creator_right_after_create_returned(
    ledger: KeyLedger, start: Callable[..., Program], dsn: str
) -> None:
    for _ in range(3):
        program = start(CREATOR, dsn=dsn)
        key_id, secret = program.says()
        program.process.kill()

        assert ledger.api_keys.get(key_id).name == "survivor"
        assert ledger.verify(secret).valid
        assert topics(dsn, key_id)[0] == "KeyCreated"
    ledger.event_rows(key_id)
    assert_consistent(dsn)


def test_a_key_outlives_the_kill_of_both_its_creator_and_the_server(
    private_server: PrivateServer, start: Callable[..., Program]
) -> None:
    dsn = private_server.new_dsn()
    program = start(CREATOR, dsn=dsn)
    key_id, secret = program.says()
    private_server.send(signal.SIGKILL)
    program.process.kill()
    private_server.start()

    with KeyLedger.open(dsn) as ledger:
        assert ledger.api_keys.get(key_id).name == "survivor"
        assert ledger.verify(secret).valid


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_a_process_killed_at_random_moments_leaves_nothing_half_written(
    rounds: int, dsn: str, start: Callable[..., Program]
) -> None:
    told = []
    for _ in range(rounds):
        program = start(LOOP, dsn=dsn)
        assert program.says() == "ready"
        told.append(program.says())
        time.sleep(random.uniform(0, 0.1))
        program.process.kill()
        program.finish()
        while (key_id := program.says()) is not None:
            told.append(key_id)
    eventually(lambda: no_session_is_left(dsn))

    assert_consistent(dsn)
    assert set(accepted_uses(dsn).values()) <= {1}
    for key_id in told[:20]:
        assert [topic for topic in topics(dsn, key_id) if topic not in ("KeyUsed", "UsesLost")] == [
            "KeyCreated",
            "KeyUpdated",
            "KeyRevoked",
        ]


def no_session_is_left(dsn: str) -> bool:
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'keyledger' AND datname = current_database()
    """
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchone() == (0,)
