"""Group commit: callers that wait for their uses to be durable share a transaction."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.uses.buffer import Flush
from keyledger.infrastructure.uses.pending import Pending, waiting

_MOST_USES = 10_000


class GroupCommit:
    """Has callers wait until somebody stores their uses."""

    def __init__(self, wake: threading.Event) -> None:
        """`wake` is set when somebody waits."""
        self._wake = wake
        self._waiting: deque[tuple[Pending, Future[None]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(
        self, high: int, low: int, moment: int, outcome: Outcome, use: Use, *, timeout_seconds: float
    ) -> None:
        """Return when the use is stored. Raises LedgerUnavailable, also when that is not known in time."""
        future: Future[None] = Future()
        self._waiting.append((waiting(high, low, moment, outcome, use), future))
        self._wake.set()
        try:
            future.result(timeout_seconds)
        except TimeoutError:
            future.cancel()
            raise LedgerUnavailable(f"the use was not stored within {timeout_seconds:g} s") from None

    def commit(self, flushes_of: Callable[[list[Pending]], list[Flush]], store: Callable[[Flush], None]) -> None:
        """Store what is waited for, and let the callers go on, with the error if there is one."""
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_USES))]
            group = [(pending, future) for pending, future in taken if future.set_running_or_notify_cancel()]
            error: Exception | None = None
            try:
                for flush in flushes_of([pending for pending, _ in group]):
                    store(flush)
            except Exception as found:
                error = found
            for _, future in group:
                # An error for each: they are raised in different threads.
                future.set_result(None) if error is None else future.set_exception(LedgerUnavailable(str(error)))
