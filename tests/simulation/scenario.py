"""What happens in a simulated world: everything that may, often."""

from uuid import UUID

from simulation.process import SECRETS, Parts, Process
from simulation.server import Server
from simulation.truth import State, Truth
from simulation.world import World

from keyledger.api_key import APIKey
from keyledger.domain import secret
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.secret import digits_of_id
from keyledger.verification import Verification

PROCESSES = 3
THREADS = 5
KEYS = 6
SECONDS = 30.0
WANTED: tuple[tuple[str, ...], ...] = ((), ("repo:read",), ("admin",))
SCOPES = (("*",), ("repo:*", "admin"), ("repo:read",), ("admin",), ())
PEPPERS = Peppers({})


class Scenario:
    """Processes that verify a few keys without pause, while the keys change and everything else fails."""

    def __init__(self, seed: int, parts: Parts) -> None:
        self.world = World(seed)
        self.truth = Truth()
        self.server = Server(self.world, self.truth, parts.asks)
        self._processes = [Process(self.world, self.server, self.truth, parts, PEPPERS) for _ in range(PROCESSES)]
        self._keys: list[UUID] = []
        for _ in range(KEYS):
            self._create(0)
        self._changed = self._keys[0]
        # Each world has dangers of its own: where everything fails at once, most of it is never met.
        choice = self.world.random.choice
        self._cuts, self._notifications, self._failovers = (
            choice([0.0, 0.15]),
            choice([0.0, 0.5]),
            choice([0.0, 0.05]),
        )
        self._calm_seconds = choice([1.0, 5.0])

    def run(self) -> Truth:
        """Let it all happen, and return what was found."""
        for process in self._processes:
            self.world.spawn(process.run_feed)
            for _ in range(THREADS):
                self.world.spawn(lambda process=process: self._verify(process))  # type: ignore[misc]
        for work in (*[self._change] * 3, self._fail, self._fail_over, self._sequence, self._replicate):
            self.world.spawn(work)
        self.world.run(SECONDS)
        return self.truth

    def _create(self, place: int) -> None:
        key_id = UUID(int=self.world.random.getrandbits(128))
        SECRETS[key_id] = secret.generate(key_id)
        self.server.commit(key_id, State(scopes=SCOPES[0]), self.server.next_arrival())
        self._keys.insert(place, key_id)

    def _verify(self, process: Process) -> None:
        chance = self.world.random
        while True:
            self.world.sleep(chance.uniform(0.0, 0.05))
            # What changed last is what a mistake would show in.
            key_id = self._changed if self.world.chance(0.4) else chance.choice(self._keys)
            wanted = chance.choice(WANTED)
            verifier = process.verifier
            verify = chance.choice(
                (verifier.verify_at_once, verifier.verify_at_once, verifier.verify, process.let_in)
            )
            try:
                found = verify(SECRETS[key_id], scopes=wanted)
            except LedgerUnavailable:
                continue
            if isinstance(found, APIKey) or (isinstance(found, Verification) and found.valid):
                self.truth.accepted(self.world.now, self.server.time, key_id, wanted)

    def _change(self) -> None:
        chance = self.world.random
        while True:
            self.world.sleep(chance.uniform(0.1, 1.5))
            process, key_id = chance.choice(self._processes), chance.choice(self._keys)
            state = self.server.tables.keys[key_id]
            if state.revoked:
                continue
            revokes = self.world.chance(0.4)
            if revokes:
                state = State(scopes=state.scopes, revoked=True)
                self.world.spawn(lambda key_id=key_id: self._replace(key_id), 3.0)  # type: ignore[misc]
            elif self.world.chance(0.4):
                state = State(scopes=state.scopes, expiration=self.server.time + chance.uniform(0.5, 3.0))
            else:
                state = State(scopes=chance.choice(SCOPES))
            if self.world.chance(self._cuts):  # what would tell another is lost just then
                other = chance.choice([each for each in self._processes if each is not process])
                self.world.spawn(lambda other=other: other.network.cut(1.5), chance.uniform(0.0, 0.3))  # type: ignore[misc]
            if self.world.chance(self._failovers):  # or the change itself
                self.world.spawn(lambda: self.server.fail_over(0.5), chance.uniform(0.2, 0.6))
            self._changed = key_id
            try:
                process.change(key_id, state)
                self._notify(digits_of_id(key_id.bytes))
                if revokes and self.world.chance(0.6):
                    raised_at = self.world.now
                    process.barrier.wait()
                    self.truth.is_behind_barrier(self.world.now, key_id, raised_at)
            except LedgerUnavailable:
                continue

    def _replace(self, key_id: UUID) -> None:
        """Another key in the place of one that was revoked, which is still tried for a while."""
        if key_id in self._keys:
            self._create(self._keys.index(key_id))
            self._keys.remove(key_id)

    def _notify(self, payload: str) -> None:
        """Tell every process: soon, late, or never."""
        for process in self._processes:
            if self.world.chance(self._notifications):
                late = self.world.chance(0.3)
                delay = self.world.random.uniform(0.5, 5.0) if late else self.world.random.uniform(0.001, 0.1)
                self.world.spawn(lambda process=process: process.notified(payload), delay)  # type: ignore[misc]

    def _fail(self) -> None:
        """Cut a process off, or stop it."""
        chance = self.world.random
        while True:
            self.world.sleep(chance.uniform(0.3, 2.0) * self._calm_seconds)
            process = chance.choice(self._processes)
            fault = chance.choice([process.network.cut, process.stop])
            fault(chance.choice([0.1, 0.5, 2.0, 4.0]))

    def _fail_over(self) -> None:
        """A standby takes over, up to half a second behind; never before every process is known to it."""
        while True:
            self.world.sleep(self.world.random.uniform(4.0, 8.0) * self._calm_seconds)
            self.server.fail_over(self.world.random.choice([0.0, 0.1, 0.5]))

    def _sequence(self) -> None:
        """Give positions, mostly at once; sometimes nobody does."""
        while True:
            self.world.sleep(3.0 if self.world.chance(0.03) else self.world.random.uniform(0.005, 0.3))
            self.server.sequence(self.world.random.randint(1, 5))
            self.server.use()

    def _replicate(self) -> None:
        while True:
            self.server.replicate()
            self.world.sleep(0.05)
