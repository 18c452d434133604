"""File locks that vanish with their process, and the deadline for waiting on them.

Locks are `flock`s: they belong to an open file description, so two locks of one process exclude each other,
a killed process leaves none behind, and a child process can inherit one.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.owned_files import open_owned

if sys.platform != "win32":
    import fcntl


class Deadline:
    """A moment until which to wait; `seconds` counts from now."""

    FIRST_PAUSE = 0.005
    LONGEST_PAUSE = 0.1

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._pause = self.FIRST_PAUSE

    def remaining(self) -> float:
        """Return the seconds left, never less than zero."""
        return max(0.0, self._end - time.monotonic())

    def pause(self) -> bool:
        """Sleep a moment, longer each time; return False at once when no time is left."""
        if not self.remaining():
            return False
        time.sleep(min(self._pause, self.remaining()))
        self._pause = min(self._pause * 1.5, self.LONGEST_PAUSE)
        return True


class FileLock:
    """One open file description on a lock file, which is created when missing; not locked at first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = open_owned(path, os.O_RDWR | os.O_CREAT)

    def fileno(self) -> int:
        """Return the descriptor, for a child process that is to inherit the lock."""
        return self._fd

    def try_exclusive(self) -> bool:
        """Take the lock alone, or change a shared lock into one; return whether it worked."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock beside other shared holders; return whether it worked."""
        return self._try(fcntl.LOCK_SH)

    def exclusive(self, deadline: Deadline) -> None:
        """Take the lock alone, or raise EmbeddedServerError when `deadline` has passed."""
        while not self.try_exclusive():
            self._wait(deadline)

    def shared(self, deadline: Deadline) -> None:
        """Take the lock beside other shared holders, or raise EmbeddedServerError at `deadline`."""
        while not self.try_shared():
            self._wait(deadline)

    def release(self) -> None:
        """Unlock and close: also for the copies of this description that forked children hold."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.abandon()

    def abandon(self) -> None:
        """Close without unlocking: a process that shares this description keeps the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, deadline: Deadline) -> None:
        if not deadline.pause():
            raise EmbeddedServerError(
                f"{self._path} stayed locked for {deadline.seconds:g} s: another process is still starting or"
                " stopping the embedded PostgreSQL there; try again, with a longer time-out if need be"
            )


@contextmanager
def exclusively(path: Path, deadline: Deadline) -> Iterator[FileLock]:
    """Hold the lock file `path` alone; raises EmbeddedServerError when `deadline` passes first."""
    lock = FileLock(path)
    try:
        lock.exclusive(deadline)
        yield lock
    finally:
        lock.release()


def is_free(path: Path) -> bool:
    """Return whether nobody holds the lock file `path`, shared or alone."""
    lock = FileLock(path)
    try:
        return lock.try_exclusive()
    finally:
        lock.release()


def is_shared(path: Path) -> bool:
    """Return whether somebody holds the lock file `path` shared."""
    lock = FileLock(path)
    try:
        return not lock.try_exclusive() and lock.try_shared()
    finally:
        lock.release()
