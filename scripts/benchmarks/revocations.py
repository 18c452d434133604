"""How long processes go on accepting a key that was revoked, and how long a barrier takes."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from statistics import quantiles

from keyledger import KeyLedger, Settings
from scripts.benchmarks import report
from scripts.benchmarks.measure import Figures
from scripts.benchmarks.scale import Scale

PROCESSES = 8
P99_MICROSECONDS = 50_000
PLAIN, BARRIER = "revoke", "revoke(barrier=True)"


def run(dsn: str, scale: Scale) -> None:
    """Revoke one key after another that every process verifies without pause."""
    lates: dict[str, list[float]] = {PLAIN: [], BARRIER: []}
    takes: dict[str, list[float]] = {PLAIN: [], BARRIER: []}
    settings = Settings(background_worker=False)
    with KeyLedger.open(dsn, settings=settings) as ledger, _processes(dsn) as verifiers:
        for _ in range(scale.revocations):
            for name in (PLAIN, BARRIER):
                key = ledger.api_keys.create(name="benchmark", subject="org_benchmark")
                _tell(verifiers, key.secret)
                start = time.monotonic()
                ledger.api_keys.revoke(key.id, barrier=name == BARRIER)
                done = time.monotonic()
                takes[name].append((done - start) * 1_000_000)
                for verifier in verifiers:
                    lates[name].append(max(0.0, verifier.recv() - done) * 1_000_000)
    report.latency(f"a revocation, beside {PROCESSES} busy processes", _figures(takes), most={})
    p99 = {name: quantiles(values, n=100)[98] for name, values in lates.items()}
    report.latency("how long after it each still accepted the key", _figures(lates), most={})
    verdict = "met" if p99[PLAIN] <= P99_MICROSECONDS else "MISSED"
    report.note(
        f"the 99th percentile of that: {p99[PLAIN] / 1_000:.1f} ms (goal: at most 50 ms: {verdict}); behind a"
        f" barrier the latest is {max(lates[BARRIER]) / 1_000:.1f} ms (goal: 0)"
    )


def _figures(found: dict[str, list[float]]) -> dict[str, Figures]:
    return {name: Figures.of(values) for name, values in found.items()}


def _tell(verifiers: list[Connection], secret: str | None) -> None:
    for verifier in verifiers:
        verifier.send(secret)
    for verifier in verifiers:
        assert verifier.recv() == "it is in memory"


@contextmanager
def _processes(dsn: str) -> Iterator[list[Connection]]:
    spawned = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        found = []
        for _ in range(PROCESSES):
            ours, theirs = spawned.Pipe()
            process = spawned.Process(target=_verify, args=(dsn, theirs), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(ours.send, None)
            found.append(ours)
        yield found


def _verify(dsn: str, parent: Connection) -> None:
    """Verify each secret that comes until it is refused, and say when the latest accepted call had begun."""
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        while secret := parent.recv():
            latest = 0.0
            while not ledger._memory.hits:  # noqa: SLF001
                assert ledger.verify(secret).valid
            assert ledger.verify(secret).valid
            parent.send("it is in memory")
            while True:
                begun = time.monotonic()
                if not ledger.verify(secret).valid:
                    break
                latest = begun
            parent.send(latest)
