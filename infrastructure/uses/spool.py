"""The spool: accepted uses in files of their process, written before the verification answers.

`kill -9` loses nothing that was written, since what the process has given to the system is not the process's any
more. A file that is stored is deleted; what a process leaves is delivered by the next that comes by.
"""

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.ids import halves
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.uses import frames as use_frames
from keyledger.infrastructure.uses.buffer import CHARACTERS_PER_EVENT, KEYS_PER_FLUSH, USES_PER_EVENT, Flush, used
from keyledger.infrastructure.uses.files import UseFolder
from keyledger.infrastructure.uses.pending import Pending, waiting
from keyledger.infrastructure.uses.store import UseStore

_log = logging.getLogger("keyledger.uses")

ENDING = ".spool"
DAMAGED = ".damaged"
FILE_BYTES = 8 * 1024 * 1024

_FLUSH_BYTES = CHARACTERS_PER_EVENT  # so that each is one flush


class Spool:
    """Writes the uses of this process, in files of at most about `FILE_BYTES`."""

    def __init__(self, folder: UseFolder, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._file = -1
        self._size = 0
        self._end = 0
        self._sealed_bytes = 0

    @property
    def size(self) -> int:
        """How much waits to be stored."""
        return self._sealed_bytes + self._size

    def write(self, key_id: UUID, moment: int, outcome: Outcome, use: Use) -> None:
        """Have a use outlive this process. Raises LedgerUnavailable at the limit, or where the disk refuses."""
        frame = use_frames.frame(key_id, moment, outcome, use)
        with self._lock:
            if self.size + len(frame) > self._limit_bytes:
                raise LedgerUnavailable(
                    f"the spool holds {self.size} bytes of uses that are not stored; no more are accepted for now"
                )
            try:
                if self._file < 0:
                    self._open()
                self._write(frame)
            except OSError as error:
                raise LedgerUnavailable(f"the use cannot be spooled: {error}") from None
            self._size += len(frame)
            if self._size >= FILE_BYTES:
                self._seal()

    def seal(self) -> list[Path]:
        """Write what comes next to another file; returns those that there are now, which can be delivered."""
        with self._lock:
            self._seal()
            return files(self._folder.path)

    def removed(self, size: int) -> None:
        """A file of this size was delivered and is gone."""
        with self._lock:
            self._sealed_bytes -= size

    def abandon(self) -> None:
        """Leave the files as they are."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        self._file = self._folder.open(
            f"{self._end:020}{ENDING}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        )
        self._size = 0
        self._write(use_frames.header(self._end))
        self._size = use_frames.HEADER.size

    def _write(self, data: bytes) -> None:
        """All of it or nothing."""
        try:
            written = os.write(self._file, data)
        except OSError:
            self._forget(0)
            raise
        if written < len(data):
            self._forget(written)
            raise OSError(f"only {written} of {len(data)} bytes could be written")

    def _forget(self, written: int) -> None:
        """After a write that failed: cut what it left, or leave the file to those that read up to damage."""
        if self._size == 0:  # not even its header was written
            os.close(self._file)
            self._file = -1
            (self._folder.path / f"{self._end:020}{ENDING}").unlink(missing_ok=True)
        elif written:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                self._size += written
                self._seal()

    def _seal(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._end += self._size
            self._sealed_bytes += self._size
            self._size = 0


def files(folder: Path) -> list[Path]:
    """A folder's spool files, oldest first."""
    return sorted(folder.glob(f"*{ENDING}"))


class Delivery:
    """Stores the files of one source, in their order, each use once."""

    def __init__(self, store: UseStore, codec: EventCodec, source: UUID, progress: int) -> None:
        """`progress` is how far the ledger says that the source is stored."""
        self._store = store
        self._codec = codec
        self._source = source
        self._progress = progress

    def deliver(self, path: Path) -> int:
        """Store what a sealed file holds and delete it; returns its size. Raises LedgerUnavailable, OSError.

        A file with damage is kept under another name, since no program can tell what it held from there on.
        """
        data = path.read_bytes()
        base = use_frames.base_of(data)
        whole = 0 if base is None else self._deliver(data, base)
        if whole < len(data):
            _log.error(
                "%s is damaged, or cut, after %d of its %d bytes: later uses are lost", path, whole, len(data)
            )
            torn = len(data) < use_frames.HEADER.size if base is None else use_frames.is_torn(data, whole)
            if not torn:
                path.rename(path.parent.parent / f"{path.parent.name}-{path.stem}{DAMAGED}")
                return len(data)
        path.unlink()
        return len(data)

    def _deliver(self, data: bytes, base: int) -> int:
        """Store the whole frames; returns where they end."""
        end = use_frames.HEADER.size
        while True:
            start = max(end, self._progress - base)
            for until, flush in _flushes(self._codec, data, start):
                end = until
                if base + until <= self._progress:
                    continue
                if not self._store.store(self._source, base + until, flush, start=self._progress):
                    break  # another's statement, which was still on its way, came first
                self._progress = base + until
            else:
                return max(end, start)
            found = self._store.progress(self._source)
            if found is None:
                return len(data)
            self._progress = found


def _flushes(codec: EventCodec, data: bytes, start: int) -> Iterator[tuple[int, Flush]]:
    """The uses from a place on as flushes, each with the place that it ends at."""
    some: list[Pending] = []
    keys: Counter[UUID] = Counter()
    begin = end = start
    for frame in use_frames.frames(data, start):
        is_new = frame.key_id not in keys
        if some and (
            len(some) == USES_PER_EVENT
            or frame.end - begin > _FLUSH_BYTES
            or (is_new and len(keys) == KEYS_PER_FLUSH)
        ):
            yield end, _one(used(codec, some))
            some, begin = [], end
            keys.clear()
        moment, outcome, use = frame.use
        some.append(waiting(*halves(frame.key_id), moment * 1000, outcome, use))
        keys[frame.key_id] += 1
        end = frame.end
    if some:
        yield end, _one(used(codec, some))


def _one(flushes: list[Flush]) -> Flush:
    (flush,) = flushes
    return flush
