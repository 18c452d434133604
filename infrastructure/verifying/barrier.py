"""The barrier: return when every process decides by what was committed before, and not sooner."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from keyledger.domain.errors import LedgerUnavailable
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.verifying.clock import Clock
from keyledger.infrastructure.verifying.lease import WAITED_PART

_LOOK_AGAIN_SECONDS = 0.005
_LOOK_AGAIN_MOST_SECONDS = 0.05


class Register(Protocol):
    """Where verifiers are registered and barriers are raised."""

    def raise_barrier(self) -> int:
        """Raise one, and return its number."""
        ...

    def unacknowledged(self, barrier: int) -> tuple[int, float]:
        """How many verifiers have not acknowledged it, and the longest of their leases in seconds."""
        ...


class VerifierRegister:
    """The register in PostgreSQL. Every method raises LedgerUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_barrier(self) -> int:
        """Raise one; one that was raised twice, because an answer got lost, harms nobody."""
        row = self._database.run(lambda connection: connection.execute(QUERIES["raise_barrier"]).fetchone())
        assert row is not None
        return int(row[0])

    def unacknowledged(self, barrier: int) -> tuple[int, float]:
        """How many verifiers have not acknowledged it, and the longest of their leases in seconds."""
        row = self._database.run(
            lambda connection: connection.execute(QUERIES["await_barrier"], {"barrier": barrier}).fetchone()
        )
        assert row is not None
        return int(row[0]), float(row[1])


class Barrier:
    """Waits for the acknowledgement of every verifier, and no longer than their leases may last.

    Also for this process's own: it has seen what it changed, and may have read the key again since from a server
    that had failed already.
    """

    def __init__(
        self,
        register: Register,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._register = register
        self._clock = clock
        self._sleep = sleep

    def wait(self) -> None:
        """Return when no process decides any more by what was before this call.

        Raises LedgerUnavailable when the verifiers cannot be asked for; where they were, and do not answer, their
        leases run out.
        """
        number = self._register.raise_barrier()
        since, pause = self._clock(), _LOOK_AGAIN_SECONDS
        waiting, lease_seconds = self._register.unacknowledged(number)
        while waiting:
            left = since + lease_seconds * WAITED_PART - self._clock()
            if left <= 0:
                return
            self._sleep(min(pause, left))
            pause = min(2 * pause, _LOOK_AGAIN_MOST_SECONDS)
            with suppress(LedgerUnavailable):  # who cannot be asked any more runs out all the same
                waiting, lease_seconds = self._register.unacknowledged(number)
