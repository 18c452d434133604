"""Processes verify a key without pause while it is revoked: none accepts it later than promised.

The promise is a second after the commit; a hundredth is for clocks. Moments are those of the machine's monotonic
clock, which all processes share.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from faults.network_namespace import network_namespace
from faults.private_server import PrivateServer
from support.program import Program
from support.proxy import Proxy
from support.waiting import eventually

from keyledger import KeyLedger, LedgerUnavailable, Settings

pytestmark = pytest.mark.xdist_group("revocation bound")  # each keeps the cores busy by itself

BOUND_SECONDS = 1.01
FEW, MANY = 2, 8
FAULTS_SECONDS = 1.5

# An acceptance is decided on after its call began and before it returns; the process may be stopped in between.
# From memory nothing waits, so there the beginning counts. The uses are not what this is about.
VERIFY = """
class Unrecorded:
    def record(self, *_): pass
def in_time(work):  # where many start at once, a second may be too short
    while True:
        try:
            return work()
        except LedgerUnavailable:
            pass
ledger = in_time(lambda: KeyLedger.open(dsn, settings=Settings(database_timeout_seconds=1.0)))
ledger._verifier._recorder, cache = Unrecorded(), ledger._memory.cache
assert in_time(lambda: ledger.verify(secret)).valid
accepted, latest, code, over = 0, 0.0, None, False
def verify():
    global accepted, latest, code
    while not over:
        begun, misses = time.monotonic(), cache.misses
        try:
            found = ledger.verify(secret)
        except LedgerUnavailable:
            code = "unavailable"
            continue
        code = found.code
        if found.valid:
            accepted, latest = accepted + 1, begun if cache.misses == misses else time.monotonic()
thread = threading.Thread(target=verify)
thread.start()
while hear() != "end":
    say([accepted, latest, code])
over = True
thread.join()
say([accepted, latest, code])
ledger.close()
"""


class Verifiers:
    """Programs that verify one key without pause, and what they say of it."""

    def __init__(self, programs: list[Program]) -> None:
        self._programs = programs
        eventually(lambda: min(accepted for accepted, _, _ in self.ask()) > 1_000)

    def ask(self, word: str = "how far") -> list[Any]:
        """Of each program: how many acceptances, the moment of the latest, and what it found last."""
        for program in self._programs:
            program.tell(word)
        return [program.says() for program in self._programs]

    def until(self, code: str) -> None:
        """Wait until all find this."""
        eventually(lambda: {found for _, _, found in self.ask()} == {code})

    def end(self) -> float:
        """End them, and return the moment of the latest acceptance."""
        found = self.ask("end")
        assert [program.finish() for program in self._programs] == [0] * len(found)
        return max(latest for _, latest, _ in found)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to each."""
        for program in self._programs:
            program.process.send_signal(number)


@pytest.fixture
def verifiers(start: Callable[..., Program]) -> Callable[..., Verifiers]:
    """Starts some programs, which all have the key in memory when this returns."""

    def started(dsn: str, secret: str | None, count: int, **how: Any) -> Verifiers:
        return Verifiers([start(VERIFY, dsn=dsn, secret=secret, **how) for _ in range(count)])

    return started


Start = Callable[..., Verifiers]
counts = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
with_barrier = pytest.param(True, id="a barrier", marks=pytest.mark.slow)
without = pytest.param(False, id="no barrier")


@contextmanager
def opened(dsn: str) -> Iterator[KeyLedger]:
    """The ledger of who revokes; he has the one connection that he needs already."""
    with KeyLedger.open(dsn, settings=Settings(max_connections=1, background_worker=False)) as ledger:
        yield ledger


def created(ledger: KeyLedger) -> tuple[str, str]:
    key = ledger.api_keys.create(name="a key", subject="org_1")
    return key.id, str(key.secret)


def revoked(ledger: KeyLedger, key_id: str, *, barrier: bool = False) -> float:
    """Revoke the key, and return a moment after the commit."""
    ledger.api_keys.revoke(key_id, barrier=barrier)
    return time.monotonic()


def pass_by(seconds: float, since: float) -> None:
    """The faults go on for so long: that nothing is accepted is nothing that could be awaited."""
    time.sleep(max(0.0, since + seconds - time.monotonic()))


@counts
def test_a_key_is_accepted_for_no_longer_than_the_bound(dsn: str, verifiers: Start, count: int) -> None:
    with opened(dsn) as ledger:
        key_id, secret = created(ledger)
        running = verifiers(dsn, secret, count)

        done = revoked(ledger, key_id)

        running.until("revoked")
    assert running.end() <= done + BOUND_SECONDS


@counts
def test_behind_a_barrier_no_process_accepts_the_key(dsn: str, verifiers: Start, count: int) -> None:
    with opened(dsn) as ledger:
        key_id, secret = created(ledger)
        running = verifiers(dsn, secret, count)

        done = revoked(ledger, key_id, barrier=True)

        running.until("revoked")
    assert running.end() <= done


@counts
@pytest.mark.parametrize("barrier", [without, with_barrier])
def test_a_server_that_stops_in_front_of_the_verifiers_is_believed_no_longer_than_the_bound(
    private_server: PrivateServer, verifiers: Start, count: int, barrier: bool
) -> None:
    dsn = private_server.new_dsn()
    with opened(dsn) as ledger:
        key_id, secret = created(ledger)
        mine = backends(dsn)
        running = verifiers(dsn, secret, count)
        frozen = freeze(private_server, dsn, mine)
        try:
            done = revoked(ledger, key_id, barrier=barrier)
            running.until("unavailable")
            pass_by(FAULTS_SECONDS, done)
        finally:
            private_server.freeze(frozen, signal.SIGCONT)

        running.until("revoked")
    assert running.end() <= done + (0 if barrier else BOUND_SECONDS)


@counts
@pytest.mark.parametrize("barrier", [without, with_barrier])
def test_processes_that_are_stopped_accept_nothing_once_they_go_on(
    dsn: str, verifiers: Start, count: int, barrier: bool
) -> None:
    with opened(dsn) as ledger:
        key_id, secret = created(ledger)
        running = verifiers(dsn, secret, count)
        running.send(signal.SIGSTOP)
        try:
            done = revoked(ledger, key_id, barrier=barrier)
            pass_by(FAULTS_SECONDS, done)
        finally:
            running.send(signal.SIGCONT)

        running.until("revoked")
    assert running.end() <= done + (0 if barrier else BOUND_SECONDS)


@counts
@pytest.mark.parametrize("barrier", [without, with_barrier])
def test_behind_a_network_that_is_cut_a_key_is_accepted_for_no_longer_than_the_bound(
    dsn: str, verifiers: Start, count: int, barrier: bool
) -> None:
    with network_namespace() as network, opened(dsn) as ledger:
        proxy = Proxy(dsn, network.host)
        key_id, secret = created(ledger)
        running = verifiers(proxy.dsn, secret, count, within=network.within)
        network.cut()
        done = revoked(ledger, key_id, barrier=barrier)
        running.until("unavailable")
        pass_by(FAULTS_SECONDS, done)
        network.join()

        running.until("revoked")
        assert running.end() <= done + (0 if barrier else BOUND_SECONDS)
        proxy.close()


@pytest.mark.slow
def test_a_revocation_that_waits_for_a_barrier_fails_where_the_server_stops_and_is_made_again(
    private_server: PrivateServer, verifiers: Start
) -> None:
    dsn = private_server.new_dsn()
    hasty = Settings(database_timeout_seconds=1.0, background_worker=False)
    with KeyLedger.open(dsn, settings=hasty) as ledger:
        key_id, secret = created(ledger)
        running = verifiers(dsn, secret, FEW)
        frozen = freeze(private_server, dsn, [])
        try:
            with pytest.raises(LedgerUnavailable):
                ledger.api_keys.revoke(key_id, barrier=True)
        finally:
            private_server.freeze(frozen, signal.SIGCONT)

        done = revoked(ledger, key_id, barrier=True)

        running.until("revoked")
    assert running.end() <= done


def backends(dsn: str) -> list[int]:
    """The sessions of ledgers."""
    query = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'keyledger' AND datname = current_database()"
    )
    with psycopg.connect(dsn) as connection:
        return [pid for (pid,) in connection.execute(query)]


def freeze(server: PrivateServer, dsn: str, spared: list[int]) -> list[int]:
    """Stop the server but for these sessions; the others while they are idle, as one may hold what all need."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s) AND state IN ('idle', 'disabled')"
    with psycopg.connect(dsn, autocommit=True) as observer:
        for _ in range(1_000):
            found = [pid for pid in backends(dsn) if pid not in spared]
            server.freeze(found)
            if observer.execute(query, [found]).fetchone() == (len(found),):
                return found
            server.freeze(found, signal.SIGCONT)
    raise AssertionError("the sessions are never idle")
