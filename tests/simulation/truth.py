"""What is true of every key at every moment, and whether an acceptance may follow from it."""

import math
import zlib
from dataclasses import dataclass, field
from uuid import UUID

from keyledger.domain.scopes import Grant

BOUND_SECONDS = 1.0
"""No acceptance is later than this after what forbids it is visible: the drift of the clocks is allowed for."""


@dataclass(frozen=True)
class State:
    """A key as the primary has it; the expiration is by the database's clock."""

    scopes: tuple[str, ...]
    revoked: bool = False
    expiration: float | None = None


@dataclass
class Truth:
    """Which states a key had, from when until when; and which keys are behind a barrier.

    trace: a checksum of every acceptance with its moment.
    """

    spans: dict[UUID, list[tuple[float, float, State]]] = field(default_factory=dict)
    barriers: dict[UUID, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    acceptances: int = 0
    trace: int = 0

    def becomes(self, now: float, key_id: UUID, state: State) -> None:
        """The primary has another state of a key from now on."""
        spans = self.spans.setdefault(key_id, [])
        if spans:
            start, _, before = spans[-1]
            spans[-1] = start, now, before
        spans.append((now, math.inf, state))
        if not state.revoked:
            self.barriers.pop(key_id, None)

    def is_behind_barrier(self, now: float, key_id: UUID, raised_at: float) -> None:
        """The barrier has returned of a revocation, unless a failover has lost that, and another came later."""
        start, _, state = self.spans[key_id][-1]
        if state.revoked and start <= raised_at:
            self.barriers[key_id] = now

    def accepted(self, now: float, database_time: float, key_id: UUID, wanted: tuple[str, ...]) -> None:
        """Judge an acceptance."""
        self.acceptances += 1
        self.trace = zlib.crc32(f"{now} {key_id} {wanted}".encode(), self.trace)
        if now > self.barriers.get(key_id, math.inf):
            self.violations.append(f"{now:.3f}: accepted after a barrier of {self.barriers[key_id]:.3f}")
        lately = [state for start, end, state in self.spans[key_id] if end >= now - BOUND_SECONDS and start <= now]
        if not any(_allows(state, wanted, database_time - BOUND_SECONDS) for state in lately):
            self.violations.append(f"{now:.3f}: accepted for {wanted}, though for a second it was {lately}")


def _allows(state: State, wanted: tuple[str, ...], database_time: float) -> bool:
    expired = state.expiration is not None and state.expiration <= database_time
    return not state.revoked and not expired and Grant.of(state.scopes).allows(wanted)
