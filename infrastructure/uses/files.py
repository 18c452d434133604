"""What a process keeps on disk of its uses: a folder of its own, locked for as long as the process lives.

A lock vanishes with its process. A folder that nobody holds is an orphan, which whoever finds it may take over.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from keyledger.infrastructure.owned_files import PRIVATE_FOLDER, make_folder, open_owned

_LOCK = "lock"
_NEW = ".new-"
_ABANDONED_SECONDS = 3600.0


class UseFolder:
    """A folder and the lock on it; `source` (UUID), its name, is that of the uses in it."""

    def __init__(self, path: Path, lock: int) -> None:
        """For `create` and `orphans`."""
        self.path = path
        self.source = UUID(path.name)
        self._lock = lock

    @classmethod
    def create(cls, base: Path) -> "UseFolder":
        """A new one, 0700. Raises OSError."""
        base.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        make_folder(base)
        path = base / str(uuid4())
        unlocked = base / f"{_NEW}{path.name}"  # no orphan, though it is not locked yet
        make_folder(unlocked)
        lock = _locked(unlocked)
        assert lock is not None
        unlocked.rename(path)
        return cls(path, lock)

    def open(self, name: str, flags: int) -> int:
        """A descriptor of a file in it, 0600."""
        return open_owned(self.path / name, flags)

    def remove(self) -> None:
        """Delete it; nothing in it is needed any more. Raises OSError, and then it is ours still."""
        for entry in _entries(self.path):
            if entry.name != _LOCK:  # which goes last, so that nobody takes over what is half removed
                entry.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        self.abandon()

    def abandon(self) -> None:
        """Let go of it: it is an orphan then, unless another process holds the lock too, as a fork's parent."""
        os.close(self._lock)


def orphans(base: Path) -> Iterator[UseFolder]:
    """The folders that nobody holds, each locked now; the caller removes or abandons it."""
    for path in _entries(base):
        if path.name.startswith(_NEW):
            _remove_abandoned(path)
            continue
        with suppress(ValueError, OSError):  # somebody else's file, or a folder that is being removed
            UUID(path.name)
            lock = _locked(path)
            if lock is not None:
                yield UseFolder(path, lock)


def has_orphans(base: Path) -> bool:
    """Whether there are some."""
    for folder in orphans(base):
        folder.abandon()
        return True
    return False


def _entries(base: Path) -> list[Path]:
    try:
        return sorted(base.iterdir())
    except OSError:
        return []


def _locked(path: Path) -> int | None:
    """The lock on a folder; None where another holds it, or where it was removed meanwhile."""
    lock = open_owned(path / _LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    if os.fstat(lock).st_nlink == 0:
        os.close(lock)
        return None
    return lock


def _remove_abandoned(path: Path) -> None:
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
