"""What killed processes left on this machine: spooled uses are stored, lost ones are put on record."""

import logging
import threading
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from keyledger.domain.errors import KeyLedgerError
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.uses import journal as use_journal
from keyledger.infrastructure.uses import spool as use_spool
from keyledger.infrastructure.uses.buffer import KEYS_PER_FLUSH, lost
from keyledger.infrastructure.uses.files import UseFolder, has_orphans, orphans
from keyledger.infrastructure.uses.store import UseStore, sources_of

_log = logging.getLogger("keyledger.uses")

_LOOK_SECONDS = 10.0

# A source whose losses are being put on record: no flush of it can be stored any more. The progress it had is in
# the bits below, and below them for how many keys the loss is on record.
_SEALED = 1 << 62
_KEYS_BITS = 20
_PROGRESS_BITS = 42


class Recovery:
    """Takes over folders that their processes left, in a thread of its own, since it may be much."""

    def __init__(self, directory: Path | None, store: UseStore, codec: EventCodec) -> None:
        self._directory = directory
        self._store = store
        self._codec = codec
        self.forget()

    def forget(self) -> None:
        """No thread: at first, and in a forked child."""
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._look_at = 0.0

    def is_due(self) -> bool:
        """Whether there is something to take over; looks only now and then."""
        now = time.monotonic()
        if self._directory is None or now < self._look_at or self._is_running():
            return False
        self._look_at = now + _LOOK_SECONDS
        if not has_orphans(self._directory):
            return False
        self._look_at = 0.0
        return True

    def start(self) -> None:
        """Do it."""
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="keyledger-recovery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the file that it is at; another process, or the next one, does the rest."""
        self._stopped = True
        if self._thread is not None:
            self._thread.join()

    def run(self) -> int:
        """Take over what there is; returns how many folders. Raises LedgerUnavailable, OSError."""
        assert self._directory is not None
        count = 0
        for folder in orphans(self._directory):
            try:
                self._recover(folder)
                if self._stopped:
                    folder.abandon()
                    break
                folder.remove()
            except BaseException:
                folder.abandon()  # and not finished: what could not be removed must not be taken for new
                raise
            self._store.finish(*sources_of(folder.source))
            count += 1
        return count

    def _work(self) -> None:
        try:
            self.run()
        except (KeyLedgerError, OSError) as error:
            _log.warning("uses that another process left wait to be stored: %s", error)
        except Exception:
            _log.exception("uses that another process left wait to be stored")

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _recover(self, folder: UseFolder) -> None:
        flushes, spool = sources_of(folder.source)
        for path in use_spool.files(folder.path):
            progress = self._store.progress(spool)
            if progress is None or self._stopped:
                break
            use_spool.Delivery(self._store, self._codec, spool, progress).deliver(path)
        journal = folder.path / use_journal.NAME
        if journal.exists():
            _record_losses(journal.read_bytes(), flushes, self._store, self._codec)


def _record_losses(data: bytes, source: UUID, store: UseStore, codec: EventCodec) -> None:
    while (progress := store.progress(source)) is not None:
        before, done = progress, 0
        if progress & _SEALED:
            before, done = progress >> _KEYS_BITS & (1 << _PROGRESS_BITS) - 1, progress & (1 << _KEYS_BITS) - 1
        counts = sorted(use_journal.unstored(data, before).items())
        some = list(islice(counts, done, done + KEYS_PER_FLUSH))
        if not some and (progress & _SEALED or not counts):
            return
        sealed = _SEALED | before << _KEYS_BITS | (done + len(some))
        flush = lost(codec, some, "crash", datetime.now(UTC))
        if store.store(source, sealed, flush, start=progress):
            _log.warning("%d uses of %d keys are lost: their process was killed", flush.uses, len(some))
