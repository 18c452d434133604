"""A process of the simulation: the classes that ship, on a clock, a network and a scheduler not to be trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

from simulation.server import Server
from simulation.truth import State, Truth
from simulation.world import World

from keyledger.api_key import APIKey
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.secret import digits_of_id
from keyledger.infrastructure.key_view import KeyView, LookedUp
from keyledger.infrastructure.verifying.barrier import Barrier
from keyledger.infrastructure.verifying.feed import Answer, Feed, Question
from keyledger.infrastructure.verifying.key_cache import KeyCache
from keyledger.infrastructure.verifying.lease import Lease
from keyledger.verifying.attempt import NO_USE, Attempt, attempt_of
from keyledger.verifying.caching_verifier import CachingVerifier

T = TypeVar("T")

LEASE_SECONDS = 1.0
INTERVAL_SECONDS = 0.25
CACHE_ENTRIES = (3, 8, 8)  # of six keys: in some processes, some are forgotten
TIMEOUT_SECONDS = 1.5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Parts:
    """The classes that ship; a mutant replaces one."""

    lease: type[Lease] = Lease
    cache: type[KeyCache] = KeyCache
    feed: type[Feed] = Feed
    verifier: type[CachingVerifier] = CachingVerifier
    barrier: type[Barrier] = Barrier
    asks: str = "all"
    replica_lag_seconds: float = 0.0


class Network:
    """Between one process and the primary: slow, or cut off for a while."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cut_until = 0.0

    def cut(self, seconds: float) -> None:
        """Lose everything for so long."""
        self._cut_until = self._world.now + seconds

    @property
    def is_cut(self) -> bool:
        """Whether everything is lost now."""
        return self._world.now < self._cut_until

    def call(self, wait_seconds: float, statement: Callable[[], T]) -> T:
        """Run a statement over there, at some moment, and return with its answer at a later one."""
        sent = self._world.now
        self._pass(sent, wait_seconds)
        answer = statement()
        self._pass(sent, wait_seconds)
        return answer

    def _pass(self, sent: float, wait_seconds: float) -> None:
        chance = self._world.random
        self._world.sleep(chance.uniform(0.1, 0.9) if chance.random() < 0.1 else chance.uniform(0.0005, 0.02))
        if self.is_cut or self._world.now > sent + wait_seconds:
            self._world.sleep(max(0.0, sent + wait_seconds - self._world.now))
            raise LedgerUnavailable("lost")


class Process:
    """Stands for the threads, the connections and the operating system around the verifier."""

    waits = False
    """As a recorder: it does not hold up what is decided from memory."""

    def __init__(self, world: World, server: Server, truth: Truth, parts: Parts, peppers: Peppers) -> None:
        self.network = Network(world)
        self._world = world
        self._server = server
        self._truth = truth
        self._parts = parts
        self._peppers = peppers
        self._stopped_until = 0.0
        self._rate = 1 + world.random.uniform(-0.01, 0.01)
        self._offset = world.random.uniform(0, 1000)
        self.lease = parts.lease(LEASE_SECONDS, self.clock)
        self.cache = parts.cache(world.random.choice(CACHE_ENTRIES))
        self.feed = parts.feed(self.cache, self.lease, self.clock)
        self._link = _Link(self.network, server)
        # What is between the verifier and the ledger is this class.
        self.verifier = parts.verifier(
            cast("Any", self),
            peppers,
            cast("Any", self),
            _no_reload,
            cache=self.cache,
            lease=self.lease,
            lease_keeper=self,
            clock=self.clock,
            timeout_seconds=TIMEOUT_SECONDS,
            refusal_seconds=0.0,
        )
        self.barrier = parts.barrier(self, self.clock, self._sleep)

    def stop(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        self._stopped_until = self._world.now + seconds

    def clock(self) -> float:
        """The process's clock, a little fast or slow; whoever looks at it may be held up before he does."""
        if self._world.chance(0.02):
            self._world.sleep(self._world.random.expovariate(self._world.random.choice([50.0, 5.0, 1.0])))
        if self._world.now < self._stopped_until:
            self._world.sleep(self._stopped_until - self._world.now)
        return self._offset + self._world.now * self._rate

    def run_feed(self) -> None:
        """What the feed's thread does."""
        while True:
            try:
                self.feed.ask(self._link)
            except LedgerUnavailable:
                self._world.sleep(0.05)
            else:
                self._world.sleep(INTERVAL_SECONDS * self._world.random.uniform(0.2, 1.0))

    def notified(self, payload: str) -> None:
        """A notification came, unless it was lost on its way."""
        self.clock()
        if not self.network.is_cut:
            self.feed.heed(payload)

    def await_lease(self, deadline: float) -> None:
        """As the feed's thread has a verification wait."""
        while not self.lease.holds:
            if self.clock() >= deadline:
                raise LedgerUnavailable("no lease")
            self._world.sleep(0.02)

    def ask_now(self) -> None:
        """The next question comes soon enough."""
        self._world.sleep(0.02)

    def let_in(self, secret: str, scopes: tuple[str, ...]) -> object:
        """What an adapter does with a request: the APIKey, or else a Verification."""
        field = f"Bearer {secret}".encode()
        found = self.verifier.again(field, scopes, NO_USE)
        if found is None:
            decided = self.verifier.verify(secret, scopes)
            if decided.valid:
                self.verifier.remember(field, secret)
            return decided
        if isinstance(found, str):
            attempt = attempt_of(secret, scopes, NO_USE, of_credential=False, recorded=found)
            return self.verifier.settle(cast("Attempt", attempt))
        return found

    def look_up(self, key_id: UUID) -> LookedUp:
        """look_up_key.sql."""
        return self.network.call(TIMEOUT_SECONDS, lambda: self._looked_up(key_id))

    def record(self, *_: object) -> None:
        """Recording a use takes its time."""
        self.clock()

    def refuse(self, *_: object, known: bool) -> None:
        """Recording a wrong secret does."""
        self.clock()

    def change(self, key_id: UUID, state: State) -> None:
        """Change a key, as APIKeys does, but for the notification."""
        try:
            arrival = self.network.call(TIMEOUT_SECONDS, self._server.next_arrival)
            self._world.sleep(self._world.random.expovariate(10.0))  # the commit waits for the disk
            self.network.call(TIMEOUT_SECONDS, lambda: self._server.commit(key_id, state, arrival))
        finally:
            self.cache.drop([digits_of_id(key_id.bytes)])

    def raise_barrier(self) -> int:
        """As VerifierRegister."""
        return self.network.call(TIMEOUT_SECONDS, self._server.raise_barrier)

    def unacknowledged(self, barrier: int) -> tuple[int, float]:
        """As VerifierRegister."""
        return self.network.call(TIMEOUT_SECONDS, lambda: self._server.unacknowledged(barrier))

    def _sleep(self, seconds: float) -> None:
        self._world.sleep(seconds / self._rate)

    def _looked_up(self, key_id: UUID) -> LookedUp:
        name, tables, zombie = self._server.name, self._server.tables, self._server.zombie
        if zombie is not None and self._world.now < zombie[2] and self._world.chance(0.7):
            name, tables, _ = zombie
        elif self._parts.replica_lag_seconds:
            tables = self._server.lagging(self._parts.replica_lag_seconds)
        state = tables.keys.get(key_id)
        if state is None:
            return LookedUp(name, None, None)
        return LookedUp(
            name, _view(key_id, state, self._server.time), self._peppers.digest(key_id, SECRETS[key_id])
        )


class _Link:
    """What FeedLink is to the feed."""

    def __init__(self, network: Network, server: Server) -> None:
        self._network = network
        self._server = server

    def ask(self, question: Question) -> Answer:
        return self._network.call(LEASE_SECONDS, lambda: self._server.ask(question))

    def register(self, question: Question, lease_seconds: float) -> None:
        self._network.call(LEASE_SECONDS, lambda: self._server.register(question, lease_seconds))

    def acknowledge(self, question: Question, answer: Answer) -> None:
        self._network.call(LEASE_SECONDS, lambda: self._server.acknowledge(question, answer))


SECRETS: dict[UUID, str] = {}
"""The keys' secrets: what they are decides nothing."""


def _view(key_id: UUID, state: State, database_time: float) -> KeyView:
    expiration = state.expiration
    return KeyView(
        id=key_id,
        type="api_key",
        name="a key",
        subject="org_1",
        description=None,
        claims=None,
        scopes=state.scopes,
        created_at=EPOCH,
        created_by=None,
        updated_at=EPOCH,
        expiration=None if expiration is None else EPOCH + timedelta(seconds=expiration),
        revoked_at=EPOCH if state.revoked else None,
        revocation_reason=None,
        expired=expiration is not None and expiration <= database_time,
        last_used_at=None,
    )


def _no_reload(_: str) -> APIKey:
    raise NotImplementedError
