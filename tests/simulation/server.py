"""A PostgreSQL of the simulation: keys, an outbox, positions, verifiers, barriers; and its standby, which lags."""

from copy import deepcopy
from dataclasses import dataclass, field
from uuid import UUID

from simulation.truth import State, Truth
from simulation.world import World

from keyledger.infrastructure.verifying.feed import REGISTERED_SECONDS, Answer, Question

STANDBY_SECONDS = 3.0
NOBODY = UUID(int=0)


@dataclass
class Tables:
    """What is committed."""

    keys: dict[UUID, State] = field(default_factory=dict)
    log: list[tuple[int, UUID]] = field(default_factory=list)
    outbox: list[tuple[int, UUID]] = field(default_factory=list)
    positions: list[tuple[int, UUID]] = field(default_factory=list)
    verifiers: dict[UUID, tuple[float, float, int]] = field(default_factory=dict)
    barriers: int = 0
    arrival: int = 0


class Server:
    """The primary, whichever it is now. Each method is one statement, at one moment.

    asks: what the feed's question looks at; "all" is what ships.
    """

    def __init__(self, world: World, truth: Truth, asks: str) -> None:
        self._world = world
        self._truth = truth
        self._asks = asks
        self.tables = Tables()
        self.name = "server 0"
        self.zombie: tuple[str, Tables, float] | None = None
        self._past: list[tuple[float, Tables]] = []
        self._seen_arrivals: dict[UUID, int] = {}
        self._drift = world.random.uniform(-0.01, 0.01)

    @property
    def time(self) -> float:
        """By the database's clock."""
        return 1_000_000.0 + self._world.now * (1 + self._drift)

    def commit(self, key_id: UUID, state: State, arrival: int) -> None:
        """Commit a change of a key."""
        self.tables.keys[key_id] = state
        self.tables.log.append((arrival, key_id))
        self.tables.outbox.append((arrival, key_id))
        self._truth.becomes(self._world.now, key_id, state)

    def next_arrival(self) -> int:
        """An arrival, which is taken before the commit."""
        self.tables.arrival += 1
        return self.tables.arrival

    def use(self) -> None:
        """Commit what is no change of any key."""
        self.tables.log.append((self.next_arrival(), NOBODY))

    def sequence(self, count: int) -> None:
        """Give positions to so many events."""
        self.tables.outbox.sort()
        batch, self.tables.outbox = self.tables.outbox[:count], self.tables.outbox[count:]
        for _, key_id in batch:
            self.tables.positions.append((len(self.tables.positions) + 1, key_id))

    def ask(self, question: Question) -> Answer:
        """ask_feed.sql."""
        tables = self.tables
        expires_at, _, acknowledged = tables.verifiers.get(question.verifier, (None, 0.0, None))
        return Answer(
            server=self.name,
            head=len(tables.positions),
            database_time=self.time,
            changed=b"".join(key_id.bytes for key_id in self._changed(question)),
            waiting=len(tables.outbox),
            barrier=tables.barriers,
            acknowledged=acknowledged,
            registered_seconds=None if expires_at is None else expires_at - self.time,
        )

    def register(self, question: Question, lease_seconds: float) -> None:
        """register_verifier.sql."""
        _, _, acknowledged = self.tables.verifiers.get(question.verifier, (0.0, 0.0, self.tables.barriers))
        self.tables.verifiers[question.verifier] = self.time + REGISTERED_SECONDS, lease_seconds, acknowledged

    def acknowledge(self, question: Question, answer: Answer) -> None:
        """acknowledge_barrier.sql."""
        if answer.server == self.name and question.verifier in self.tables.verifiers:
            expires_at, lease_seconds, acknowledged = self.tables.verifiers[question.verifier]
            seen = max(acknowledged, answer.barrier)
            self.tables.verifiers[question.verifier] = expires_at, lease_seconds, seen

    def raise_barrier(self) -> int:
        """raise_barrier.sql."""
        self.tables.barriers += 1
        return self.tables.barriers

    def unacknowledged(self, barrier: int) -> tuple[int, float]:
        """await_barrier.sql."""
        leases = [
            lease_seconds
            for expires_at, lease_seconds, acknowledged in self.tables.verifiers.values()
            if acknowledged < barrier and expires_at > self.time
        ]
        return len(leases), max(leases, default=0.0)

    def replicate(self) -> None:
        """Note what a standby would have."""
        self._past.append((self._world.now, deepcopy(self.tables)))
        self._past = [each for each in self._past if each[0] >= self._world.now - STANDBY_SECONDS]

    def lagging(self, seconds: float) -> Tables:
        """What a standby has that lags so far behind."""
        past = [tables for at, tables in self._past if at <= self._world.now - seconds]
        return past[-1] if past else self._past[0][1]

    def fail_over(self, lag_seconds: float) -> None:
        """A standby becomes the primary; the old one still answers reads on sessions that were open."""
        before, self.tables = self.tables, deepcopy(self.lagging(lag_seconds))
        self.zombie = self.name, before, self._world.now + 1.0
        self.name = f"server {int(self.name.split()[1]) + 1}"
        self._past = [(self._world.now - STANDBY_SECONDS, deepcopy(self.tables))]
        for key_id, state in before.keys.items():
            kept = self.tables.keys.setdefault(key_id, state)  # new keys are not what this is about
            if kept != state:
                self._truth.becomes(self._world.now, key_id, kept)

    def _changed(self, question: Question) -> set[UUID]:
        tables, after = self.tables, question.after
        outbox = {key_id for _, key_id in tables.outbox}
        positions = {key_id for at, key_id in tables.positions if after is not None and at > after}
        if self._asks == "serial":
            last = self._seen_arrivals.get(question.verifier, 0)
            self._seen_arrivals[question.verifier] = max([last, *(at for at, _ in tables.log)])
            return {key_id for at, key_id in tables.log if at > last}
        return {"all": outbox | positions, "outbox": outbox, "positions": positions}[self._asks]
