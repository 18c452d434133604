"""How a process ends without close(), and what becomes of the uses it recorded."""

from collections.abc import Callable

import pytest
from support.invariants import accepted_uses, assert_consistent
from support.program import Program

from keyledger import KeyLedger

USER = """
ledger = KeyLedger.open(dsn, settings=Settings(flush_interval_seconds=3600.0))
for number in range(5):
    assert ledger.verify(secret, use=Use(request_id=f"use {number}")).valid
"""
ENDS = {
    "end of the program": "",
    "sys.exit": "sys.exit(0)",
    "sys.exit in the middle of a with": "with ledger: sys.exit(0)",
    "closed twice": "ledger.close(); ledger.close()",
    "unhandled error": "sys.stderr = open(os.devnull, 'w'); raise RuntimeError('unhandled')",
    "forgotten ledger": "del ledger; import gc; gc.collect()",
    "opened twice": """
other = KeyLedger.open(dsn, settings=Settings(flush_interval_seconds=3600.0))
assert other.verify(secret, use=Use(request_id="use of the other")).valid
""",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_uses_are_stored_when_a_process_ends_by_itself(
    end: str, ledger: KeyLedger, dsn: str, start: Callable[..., Program]
) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")

    program = start(USER + end, dsn=dsn, secret=key.secret)

    assert program.finish() == (1 if "raise" in end else 0)
    uses = accepted_uses(dsn)
    assert {f"use {number}": 1 for number in range(5)}.items() <= uses.items()
    assert len(uses) == (6 if "other" in end else 5)
    assert_consistent(dsn)


@pytest.mark.parametrize("end", ["process.terminate", "process.kill"])
def test_a_process_ended_by_a_signal_loses_at_most_the_uses_since_its_last_flush(
    end: str, ledger: KeyLedger, dsn: str, start: Callable[..., Program]
) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")
    late = """
ledger._recorder.flush()
ledger.verify(secret, use=Use(request_id="after the flush"))
say("recorded")
time.sleep(60)
"""
    program = start(USER + late, dsn=dsn, secret=key.secret)
    assert program.says() == "recorded"

    program.process.terminate() if end == "process.terminate" else program.process.kill()

    assert program.finish() < 0
    assert accepted_uses(dsn) == {f"use {number}": 1 for number in range(5)}
    assert_consistent(dsn)
