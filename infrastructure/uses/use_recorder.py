"""Recording uses, so durably as the service chose, and holding up a verification no longer than that takes."""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

import msgspec

from keyledger.domain.errors import KeyLedgerError, LedgerClosed, LedgerUnavailable
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.instruments.figure import Figure
from keyledger.infrastructure.uses.buffer import Flush, used
from keyledger.infrastructure.uses.files import UseFolder
from keyledger.infrastructure.uses.group_commit import GroupCommit
from keyledger.infrastructure.uses.journal import UseJournal
from keyledger.infrastructure.uses.memory import DRAIN_USES, SHED_KEYS, Record, UseMemory
from keyledger.infrastructure.uses.recovery import Recovery
from keyledger.infrastructure.uses.refused_attempts import RefusedAttempts
from keyledger.infrastructure.uses.spool import Delivery, Spool
from keyledger.infrastructure.uses.store import UseStore, sources_of

_log = logging.getLogger("keyledger.uses")

Durability = Literal["buffered", "spooled", "audit_required"]
"""When an accepted use is safe: see `Settings`."""


class RecorderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a recorder works; the fields are those of Settings. `directory` is for this ledger alone."""

    durability: Durability
    directory: Path | None
    flush_interval_seconds: float
    flush_after_uses: int
    buffer_limit_uses: int
    spool_limit_bytes: int
    refused_limit_per_key: int
    refused_interval_seconds: float


class UseRecorder:
    """Stores every recorded use exactly once, as part of a KeyUsed event of its key."""

    _closed: bool
    _source: UUID
    _folder: UseFolder | None
    _spool: Spool | None
    _memory: UseMemory
    _group: GroupCommit
    _refused: RefusedAttempts
    _thread: threading.Thread | None
    _flushing: threading.Lock
    _starting: threading.Lock
    _wake: threading.Event

    record: Record
    """Take note of a use, as `durability` says. Raises LedgerClosed, and for an accepted one LedgerUnavailable.

    To be looked up at each call: it is another function before the first use, and after a fork.
    """

    def __init__(
        self,
        database: Database,
        codec: EventCodec,
        options: RecorderOptions,
        *,
        committed: Callable[[], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`committed` is told of each flush; `clock_ns` gives nanoseconds since 1970.

        Raises LedgerUnavailable where uses are to be spooled and cannot be.
        """
        self._database = database
        self._codec = codec
        self._options = options
        self._clock_ns = clock_ns
        self._store = UseStore(database, committed)
        self._recovery = Recovery(options.directory, self._store, codec)
        self._begin()
        if options.durability == "spooled":
            self._prepare()
        elif self._recovery.is_due():
            self._start()
        _recorders.add(self)

    @property
    def waits(self) -> bool:
        """Whether `record` waits for PostgreSQL, and so has no place in an event loop's thread."""
        return self._options.durability == "audit_required"

    @property
    def depth(self) -> int:
        """How many uses wait in memory to be stored."""
        return len(self._memory) + len(self._group)

    def figures(self) -> tuple[Figure, ...]:
        """What status and metrics say of the recording, in this process."""
        store = self._store
        return (
            Figure.counter("uses.stored", "{use}", "Uses stored", lambda: store.uses_stored),
            Figure.counter(
                "uses.shed", "{use}", "Accepted uses for which no room was", lambda: self._memory.uses_shed
            ),
            Figure.counter("uses.lost", "{use}", "Lost uses put on record", lambda: store.uses_lost),
            Figure.counter("refused.uncounted", "{attempt}", "Refused attempts not on record", self._uncounted),
            Figure.counter("flushes", "{flush}", "Flushes stored", lambda: store.flushes),
            Figure.counter("flush.time", "s", "Time spent in storing flushes", lambda: store.flush_seconds),
            Figure.gauge("flush.last", "s", "How long the last flush took", lambda: store.last_flush_seconds),
            Figure.gauge("uses.waiting", "{use}", "Uses in memory that wait to be stored", lambda: self.depth),
            Figure.gauge("spool.size", "By", "Spooled uses that wait to be stored", self._spool_bytes),
        )

    def refuse(self, high: int, low: int, use: Use, *, known: bool) -> None:
        """Take note of a wrong secret. Where no key of the id is known, the same is done and leaves nothing.

        Raises LedgerClosed.
        """
        if self.record == self._record_first:
            self._prepare()
        self._memory.refuse(high, low, self._clock_ns(), "not_found", use, known=known)

    def flush(self) -> None:
        """Store everything recorded so far. Raises LedgerUnavailable, and keeps what is not stored."""
        with self._flushing:
            self._commit_group()
            self._memory.flush(self._store, self._source)
            self._flush_spool()

    def close(self) -> None:
        """End the threads and store everything. Raises LedgerUnavailable, and stays open with what is left."""
        self._closed = self._memory.closed = True
        self._wake.set()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._recovery.stop()
        try:
            self.flush()
            self._remove_files()
        except KeyLedgerError as error:
            self._closed = self._memory.closed = False
            with suppress(RuntimeError):  # at the end of the process there are no more threads
                self._start()
            waiting = self.depth or f"{self._spool_bytes()} bytes of"
            raise LedgerUnavailable(f"{waiting} recorded uses are not stored: {error}") from None

    def _record_first(self, high: int, low: int, outcome: Outcome, use: Use) -> None:
        if self._closed:
            raise LedgerClosed("the ledger was closed")
        self._prepare()
        self.record(high, low, outcome, use)

    def _prepare(self) -> None:
        levels = {"buffered": self._buffered, "spooled": self._spooled, "audit_required": self._audited}
        with self._starting:
            if self.record == self._record_first:
                self.record = levels[self._options.durability]()
        self._start()

    def _buffered(self) -> Record:
        return self._memory.taker(self._new_journal(), self._clock_ns)

    def _spooled(self) -> Record:
        folder = self._new_folder()
        spool = self._spool = Spool(folder, self._options.spool_limit_bytes)

        def record(high: int, low: int, outcome: Outcome, use: Use) -> None:
            if outcome != "valid":
                self._memory.refuse(high, low, self._clock_ns(), outcome, use)
                return
            spool.write(UUID(int=high << 64 | low), self._clock_ns() // 1000, outcome, use)
            if self._closed:  # asked after the writing: what the last flush did not see is not accepted
                raise LedgerClosed("the ledger was closed")

        return record

    def _audited(self) -> Record:
        def record(high: int, low: int, outcome: Outcome, use: Use) -> None:
            if outcome != "valid":
                self._memory.refuse(high, low, self._clock_ns(), outcome, use)
                return
            if self._closed:
                raise LedgerClosed("the ledger was closed")
            remaining = self._database.remaining_seconds()
            self._group.wait(high, low, self._clock_ns(), outcome, use, timeout_seconds=remaining)

        return record

    def _commit_group(self) -> None:
        self._group.commit(lambda pending: used(self._codec, pending), self._store_now)

    def _store_now(self, flush: Flush) -> None:
        self._store.store(self._source, self._memory.next_number(), flush)

    def _flush_spool(self) -> None:
        spool = self._spool
        if spool is None or not spool.size:
            return
        source = sources_of(self._source)[1]
        try:
            sealed = spool.seal()
            delivery = Delivery(self._store, self._codec, source, self._store.progress(source) or 0)
            for path in sealed:
                spool.removed(delivery.deliver(path))
        except OSError as error:
            raise LedgerUnavailable(f"the spool cannot be read or emptied: {error}") from None

    def _spool_bytes(self) -> int:
        return 0 if self._spool is None else self._spool.size

    def _uncounted(self) -> int:
        return self._refused.uncounted

    def _new_folder(self) -> UseFolder:
        if self._options.directory is None:
            raise LedgerUnavailable("uses cannot be spooled: there is no folder for it; see Settings.spool_dir")
        try:
            folder = self._folder = UseFolder.create(self._options.directory)
        except OSError as error:
            raise LedgerUnavailable(f"uses cannot be spooled: {error}; see Settings.spool_dir") from None
        self._source = folder.source
        return folder

    def _new_journal(self) -> UseJournal:
        """In a folder of ours; without one, a crash's losses are not counted, which is said."""
        # Of a drain that is stored in part, what is left may be older than as many uses that are stored.
        uses = self._options.buffer_limit_uses + self._options.flush_after_uses + DRAIN_USES
        if self._options.directory is not None:
            try:
                folder = UseFolder.create(self._options.directory)
                try:
                    journal = UseJournal(folder, uses=uses, shed_keys=SHED_KEYS)
                except OSError:
                    folder.remove()
                    raise
            except OSError as error:
                _log.warning("uses that a crash loses will not be counted: %s; see Settings.spool_dir", error)
            else:
                self._folder, self._source = folder, folder.source
                return journal
        return UseJournal(None, uses=uses, shed_keys=SHED_KEYS)

    def _remove_files(self) -> None:
        """Everything is stored."""
        folder, self._folder = self._folder, None
        if self._spool is not None:
            self._spool.abandon()
        if folder is not None:
            try:
                folder.remove()
            except OSError as error:
                _log.warning("what is left of uses that are stored cannot be deleted: %s", error)
                folder.abandon()
                return
        if self._store.flushes:
            self._store.finish(*sources_of(self._source))

    def _begin(self) -> None:
        """Nothing recorded and no thread: at first, and in a forked child (its parent stores what it had)."""
        options = self._options
        self._closed = False
        self._source = uuid4()
        self._folder = self._spool = self._thread = None
        self._flushing = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._group = GroupCommit(self._wake)
        self._refused = RefusedAttempts(
            limit_per_key=options.refused_limit_per_key, interval_seconds=options.refused_interval_seconds
        )
        self._memory = UseMemory(
            self._codec,
            self._refused,
            self._wake,
            limit_uses=options.buffer_limit_uses,
            many_uses=options.flush_after_uses,
        )
        self.record = self._record_first

    def _forget(self) -> None:
        """In a forked child: leave files and locks to the parent."""
        folder, spool, closed = self._folder, self._spool, self._closed
        self._begin()
        self._closed = self._memory.closed = closed
        self._recovery.forget()
        if spool is not None:
            spool.abandon()
        if folder is not None:
            folder.abandon()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._work, name="keyledger-uses", daemon=True)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        interval_seconds = self._options.flush_interval_seconds
        flush_at = time.monotonic()
        while not self._closed:
            try:
                if self._recovery.is_due():
                    self._recovery.start()
                self._wake.wait(interval_seconds)
                self._wake.clear()
                if self.waits and time.monotonic() < flush_at:  # somebody waits, and the rest can
                    with self._flushing:
                        self._commit_group()
                    continue
                flush_at = time.monotonic() + interval_seconds
                self.flush()
                self._store.prune()
            except KeyLedgerError as error:
                _log.warning("%d uses wait to be stored: %s", self.depth, error)
            except Exception:
                _log.exception("%d uses wait to be stored", self.depth)


_recorders: weakref.WeakSet[UseRecorder] = weakref.WeakSet()


def _after_fork() -> None:
    for recorder in _recorders:
        recorder._forget()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
