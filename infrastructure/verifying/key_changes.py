"""What a change of a key has to do with memory: this process's at once, and everybody's behind a barrier."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from keyledger.infrastructure.verifying.barrier import Barrier
from keyledger.infrastructure.verifying.feed_thread import FeedThread


class KeyChanges:
    """Goes around whatever changes a key."""

    def __init__(self, feed: FeedThread, barrier: Barrier) -> None:
        self._feed = feed
        self._barrier = barrier

    @contextmanager
    def of(self, key_id: UUID) -> Iterator[None]:
        """Within, the key is changed; this process decides by the change before it is told of it.

        Also where an error leaves it open whether the change was made.
        """
        try:
            yield
        finally:
            self._feed.drop(key_id)
        self._feed.announce(key_id)

    def made(self, key_id: UUID) -> None:
        """A key is there that was not: this process may have been asked for it before."""
        self._feed.drop(key_id)

    def await_all(self) -> None:
        """Return when every process decides by what was changed. Raises LedgerUnavailable."""
        self._barrier.wait()
