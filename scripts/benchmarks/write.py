"""`create` and `revoke` against the commit of a bare INSERT and UPDATE."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from keyledger import KeyLedger
from scripts.benchmarks import plain, report
from scripts.benchmarks.measure import latencies, throughputs
from scripts.benchmarks.scale import Scale

CALLERS = 16
WARM_UP = 20


def run(dsn: str, scale: Scale) -> None:
    """Measure at one caller and at sixteen."""
    with KeyLedger.open(dsn) as ledger, plain.callers(dsn, CALLERS) as others:
        _one_caller(ledger, others[0], scale.writes)
        _many_callers(ledger, others, scale.rounds, scale.writes_per_round)


def create(ledger: KeyLedger) -> str:
    """Create a key of the same content as the plain row, and return its id."""
    key = ledger.api_keys.create(
        name="benchmark", subject="org_benchmark", description="a description", scopes=("read", "write")
    )
    return key.id


def create_many(ledger: KeyLedger, count: int) -> list[str]:
    """Create keys for what follows."""
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(lambda _: create(ledger), range(count)))


def revoke(ledger: KeyLedger, key_id: str) -> None:
    """Revoke a key for the first time."""
    ledger.api_keys.revoke(key_id, revocation_reason="no longer needed")


def _one_caller(ledger: KeyLedger, other: plain.Plain, calls: int) -> None:
    inserts = {"INSERT": lambda _: other.insert(), "create": lambda _: create(ledger)}
    report.latency("create, 1 caller", latencies(inserts, calls, warm_up=WARM_UP), most={"create": 3})
    rows, keys = other.insert_many(WARM_UP + calls), create_many(ledger, WARM_UP + calls)
    updates = {"UPDATE": lambda n: other.update(rows[n]), "revoke": lambda n: revoke(ledger, keys[n])}
    report.latency("revoke, 1 caller", latencies(updates, calls, warm_up=WARM_UP), most={"revoke": 3})


def _many_callers(ledger: KeyLedger, others: list[plain.Plain], rounds: int, calls: int) -> None:
    def rates(contenders: dict[str, Callable[[int, int], object]]) -> dict[str, list[float]]:
        return throughputs(contenders, callers=CALLERS, rounds=rounds, calls=calls)

    found = rates({"INSERT": lambda c, _: others[c].insert(), "create": lambda *_: create(ledger)})
    report.throughput(f"create, {CALLERS} callers", found, least={"create": 0.5})
    total = CALLERS * calls * (rounds + 1)
    rows, keys = others[0].insert_many(total), create_many(ledger, total)
    found = rates(
        {"UPDATE": lambda c, n: others[c].update(rows[n]), "revoke": lambda _, n: revoke(ledger, keys[n])}
    )
    report.throughput(f"revoke, {CALLERS} callers", found, least={"revoke": 0.5})
