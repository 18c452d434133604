"""A world with a clock of its own, in which one thing happens at a time, in an order that a seed decides.

Each task is a thread, so that the classes that ship run as they are; but only one runs, until it sleeps.
"""

import heapq
import threading
from collections.abc import Callable
from random import Random


class Over(BaseException):
    """The world has ended; unwinds every task."""


class World:
    """Time, chance and tasks. `now` is true time, in seconds."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self._waiting: list[tuple[float, int, threading.Lock]] = []
        self._count = 0
        self._end = 0.0
        self._over = False
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def spawn(self, work: Callable[[], None], delay: float = 0.0) -> None:
        """Have a task begin."""
        turn = self._enqueue(delay)

        def run() -> None:
            try:
                self._await(turn)
                work()
                self._hand_over()
            except Over:
                pass
            except BaseException as error:
                self._error = error
                self._ended.set()

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def sleep(self, seconds: float) -> None:
        """Let time pass, and others run."""
        turn = self._enqueue(seconds)
        self._hand_over()
        self._await(turn)

    def run(self, seconds: float) -> None:
        """Let the tasks run for so long, and raise what one of them raised."""
        self._end = seconds
        self._hand_over()
        self._ended.wait()
        self._over = True
        for _, _, turn in self._waiting:
            turn.release()
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.random.random() < probability

    def _enqueue(self, delay: float) -> threading.Lock:
        turn = threading.Lock()
        turn.acquire()
        self._count += 1
        heapq.heappush(self._waiting, (self.now + max(0.0, delay), self._count, turn))
        return turn

    def _hand_over(self) -> None:
        if not self._waiting or self._waiting[0][0] > self._end:
            self._ended.set()
            return
        self.now, _, turn = heapq.heappop(self._waiting)
        turn.release()

    def _await(self, turn: threading.Lock) -> None:
        turn.acquire()
        if self._over:
            raise Over
