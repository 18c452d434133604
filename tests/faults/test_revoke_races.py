"""Many revoke one key at once."""

from collections.abc import Callable

import pytest
from support.invariants import assert_consistent, topics
from support.program import Program

from keyledger import KeyLedger

REVOKER = """
ledger = KeyLedger.open(dsn, settings=QUICK)
say("ready")
while (round := hear()) is not None:
    barrier, answers = threading.Barrier(threads), []
    def revoke(number):
        barrier.wait()
        key = ledger.api_keys.revoke(round, revocation_reason=f"{name}-{number}")
        answers.append([key.revocation_reason, key.revoked, key.updated_at.isoformat()])
    workers = [threading.Thread(target=revoke, args=(number,)) for number in range(threads)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    say(answers)
ledger.close()
"""


@pytest.mark.parametrize(("rounds", "threads"), [(40, 1), (15, 4)])
def test_processes_that_revoke_one_key_at_once_record_one_revocation_and_agree(
    rounds: int, threads: int, ledger: KeyLedger, dsn: str, start: Callable[..., Program]
) -> None:
    programs = [start(REVOKER, dsn=dsn, name=name, threads=threads) for name in ("a", "b")]
    assert [program.says() for program in programs] == ["ready", "ready"]
    for _ in range(rounds):
        key = ledger.api_keys.create(name="contested", subject="org_1")
        for program in programs:
            program.tell(key.id)
        answers = [tuple(answer) for program in programs for answer in program.says()]
        assert len(answers) == 2 * threads
        assert len(set(answers)) == 1, "the callers do not agree"
        assert topics(dsn, key.id) == ["KeyCreated", "KeyRevoked"]
        assert ledger.api_keys.get(key.id).revocation_reason == answers[0][0]
    assert_consistent(dsn)
