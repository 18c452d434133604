"""Many create with one idempotency key at once."""

from collections.abc import Callable

from support.invariants import assert_consistent
from support.program import Program, together

from keyledger import APIKey, IdempotencyConflict, KeyLedger

CREATOR = """
ledger = KeyLedger.open(dsn, settings=QUICK)
say("ready")
hear()
barrier, made = threading.Barrier(25), []
def create():
    barrier.wait()
    key = ledger.api_keys.create(name="one key", subject="org_1", idempotency_key="k")
    made.append([key.id, key.secret is not None, key.secret_already_issued])
workers = [threading.Thread(target=create) for _ in range(25)]
for worker in workers: worker.start()
for worker in workers: worker.join()
say(made)
ledger.close()
"""


def test_a_hundred_threads_with_one_idempotency_key_make_one_key(ledger: KeyLedger, dsn: str) -> None:
    def create() -> APIKey:
        return ledger.api_keys.create(name="one key", subject="org_1", idempotency_key="k")

    made = together([create] * 100)

    keys = [key for key in made if isinstance(key, APIKey)]
    assert len(keys) == 100, made
    assert len({key.id for key in keys}) == 1
    assert len([key for key in keys if key.secret]) == 1
    assert len([key for key in keys if key.secret_already_issued]) == 99
    assert ledger.api_keys.get_all(subject="org_1").total_count == 1
    assert_consistent(dsn)


def test_processes_with_one_idempotency_key_make_one_key(
    ledger: KeyLedger, dsn: str, start: Callable[..., Program]
) -> None:
    programs = [start(CREATOR, dsn=dsn) for _ in range(4)]
    assert [program.says() for program in programs] == ["ready"] * 4

    for program in programs:
        program.tell("go")
    made = [answer for program in programs for answer in program.says()]

    assert len(made) == 100
    assert len({key_id for key_id, _, _ in made}) == 1
    assert sorted([secret, repeated] for _, secret, repeated in made) == [[False, True]] * 99 + [[True, False]]
    assert ledger.api_keys.get_all(subject="org_1").total_count == 1
    assert_consistent(dsn)


def test_racing_creates_with_other_arguments_conflict_with_the_one_that_made_the_key(
    ledger: KeyLedger, dsn: str
) -> None:
    def creator(name: str) -> Callable[[], APIKey]:
        return lambda: ledger.api_keys.create(name=name, subject="org_1", idempotency_key="k")

    made = together([creator(name) for name in ("first", "other") for _ in range(20)])

    keys = [key for key in made if isinstance(key, APIKey)]
    conflicts = [error for error in made if isinstance(error, IdempotencyConflict)]
    assert (len(keys), len(conflicts)) == (20, 20), made
    assert len({(key.id, key.name) for key in keys}) == 1
    assert_consistent(dsn)
