"""The ledger: what a service opens once and keeps."""

import os
import threading
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from keyledger import exits
from keyledger.acting import ActingLedger
from keyledger.aio import AsyncLedger, Threads
from keyledger.api_keys import APIKeys
from keyledger.audit import Audit
from keyledger.domain import arguments
from keyledger.domain.actor import Actor
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import InvalidArgument
from keyledger.domain.ids import parse_key_id
from keyledger.domain.use import Use
from keyledger.infrastructure import inspection, peppers, schema
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.embedded import EmbeddedServer, pepper_file
from keyledger.infrastructure.embedded.data_folder import DataFolder
from keyledger.infrastructure.following import progress_status
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.following.worker import Worker
from keyledger.infrastructure.history_view import HistoryView
from keyledger.infrastructure.inspection import EventRow
from keyledger.infrastructure.instruments import metrics
from keyledger.infrastructure.key_store import KeyStore
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.read_models.history import HistoryModel
from keyledger.infrastructure.uses.store import ledger_id
from keyledger.infrastructure.uses.use_recorder import RecorderOptions, UseRecorder
from keyledger.replay import Replay
from keyledger.settings import Settings
from keyledger.status import Status
from keyledger.target import target
from keyledger.verification import Verification
from keyledger.verifying.key_memory import KeyMemory
from keyledger.verifying.possession import Possession


class KeyLedger(ActingLedger):
    """An API-key ledger in a PostgreSQL. Thread-safe; in a forked child it opens connections of its own."""

    def __init__(
        self, database: Database, ring: Peppers, settings: Settings, server: EmbeddedServer | None
    ) -> None:
        """For `open`, which is what a service calls."""
        self._codec = codec = EventCodec()
        views = KeyViews(database)
        self._worker = Worker(database, codec, READ_MODELS, enabled=settings.background_worker)
        self._database = database
        self._peppers = ring
        self._server = server
        self._closing = threading.Lock()
        self._closed = False
        options = _recorder_options(database, settings, server)
        self._recorder = UseRecorder(database, codec, options, committed=self._worker.wake)
        self._memory = KeyMemory(database, settings)
        store = KeyStore(database, codec, self._worker.wake, unique_names=settings.unique_names)
        api_keys = APIKeys(store, views, ring, _now, self._memory.changes)
        verifier = self._memory.verifier(views, ring, self._recorder, api_keys.get)
        self._possession = Possession(views, ring, self._recorder, api_keys.get)
        self.audit = Audit(HistoryView(database, codec), self._refresh_history)
        self.replay = Replay(database, codec, api_keys.get, flush=self._recorder.flush, clock=_now)
        super().__init__(api_keys, verifier, Threads(settings.max_connections))
        self._figures = (*self._memory.figures(), *self._recorder.figures())
        metrics.add(self, self._figures)
        exits.add(self, exits.Hooks(close=self.close, after_fork=self._after_fork))
        self._worker.wake()

    @classmethod
    def open(
        cls,
        dsn: str | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        migrate: bool = False,
    ) -> Self:
        """Open the ledger in your PostgreSQL, or in an embedded one.

        dsn: a libpq connection string or URI (default: KEYLEDGER_DSN).
        data_dir: with no DSN, where the embedded PostgreSQL keeps its data (default: KEYLEDGER_DATA_DIR, else
            ./.keyledger).
        migrate: bring the schema up to date first. An embedded ledger always does.
        Raises SchemaOutOfDate, LedgerUnavailable (PepperUnavailable for a pepper that is not the ledger's),
        InvalidArgument.
        """
        settings = Settings() if settings is None else settings
        if not isinstance(settings, Settings):
            raise InvalidArgument("settings", "a Settings or None")
        arguments.boolean("migrate", migrate)
        where = target(dsn, data_dir)
        if isinstance(where, Path):
            return cls._open_embedded(where, settings)
        return cls._open(where, settings, migrate=migrate)

    @classmethod
    def _open_embedded(cls, data_dir: Path, settings: Settings) -> Self:
        server = EmbeddedServer.acquire(data_dir)
        try:
            return cls._open(server.conninfo, settings, migrate=True, server=server)
        except BaseException:
            server.release()
            raise

    @classmethod
    def _open(
        cls,
        dsn: str,
        settings: Settings,
        *,
        migrate: bool,
        server: EmbeddedServer | None = None,
    ) -> Self:
        given = settings.pepper_bytes()
        database = Database(
            dsn,
            max_connections=settings.max_connections,
            timeout_seconds=settings.database_timeout_seconds,
            prepared_statements=settings.prepared_statements,
            ensure_running=server.ensure_running if server else None,
        )
        try:
            database.probe()
            schema.migrate(database) if migrate else schema.check(database)
            own = pepper_file.read_or_create(database, DataFolder(server.data_dir).pepper) if server else {}
            ring = pepper_file.with_own(given, own)
            peppers.check(database, ring)
            peppers.warn_of_missing(database, ring)
        except BaseException:
            database.close()
            raise
        return cls(database, ring, settings, server)

    def on_behalf_of(self, actor: Actor) -> ActingLedger:
        """The same API with this actor recorded on each event.

        `created_by` is then the actor's user, and a subject that is left out the actor's organization, else user.
        """
        return ActingLedger(self.api_keys.acting(actor), self._verifier, self._threads)

    @cached_property
    def aio(self) -> AsyncLedger:
        """The same methods as coroutines."""
        return AsyncLedger(
            self.api_keys,
            self._verifier,
            self._threads,
            audit=self.audit,
            replay=self.replay,
            identify=self.identify,
            status=self.status,
            ping=self.ping,
            catch_up=self.catch_up,
            close=self.close,
        )

    def identify(self, secret: str, *, use: Use | None = None) -> Verification:
        """The key of a leaked secret, or of a credential's `sk_…`, active or not, without a use of it.

        It is never `valid`: a key that `verify` would accept is `insufficient_scope`, as for a scope that no key
        has, and that is on record. Never raises for a bad secret. Raises LedgerUnavailable.
        """
        return self._possession.identify(secret, use=use)

    def status(self) -> Status:
        """How the ledger is doing, in this process and in PostgreSQL. Raises LedgerUnavailable."""
        return Status(
            store=inspection.status(self._database),
            uses_waiting=self._recorder.depth,
            figures={figure.name: figure.read() for figure in self._figures},
            pepper=self._peppers.current,
            missing_peppers=peppers.missing(self._database, self._peppers),
            data_dir=self._server.data_dir if self._server else None,
            sequencer=progress_status.sequencer(self._database),
            projections=progress_status.projections(self._database),
        )

    def ping(self) -> None:
        """Return if PostgreSQL answers. Raises LedgerUnavailable."""
        inspection.ping(self._database)

    def catch_up(self) -> int:
        """Have everything that was committed before this call positioned and in every read model.

        For whoever needs it at once; a background worker does the same within milliseconds. Returns the position.
        Raises LedgerUnavailable, also where a read model has stopped.
        """
        return self._catch_up(*(model.name for model in READ_MODELS))

    def event_rows(self, api_key_id: str) -> tuple[EventRow, ...]:
        """A key's events as they stand in the table, for the command line."""
        self._recorder.flush()
        return inspection.event_rows(self._database, self._codec, parse_key_id(api_key_id))

    def close(self) -> None:
        """Store the recorded uses, close the connections and stop the embedded server if nobody else uses it.

        Raises LedgerUnavailable, and stays open, when there are uses that cannot be stored.
        """
        with self._closing:
            if self._closed:
                return
            self._recorder.close()
            self._closed = True
            exits.discard(self)
            metrics.discard(self)
            self._memory.close()
            self._worker.close()
            self._database.close()
            if self._server is not None:
                self._server.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _refresh_history(self) -> None:
        """A caller finds its own uses as well, which are committed once a second."""
        self._recorder.flush()
        self._catch_up(HistoryModel.name)

    def _catch_up(self, *names: str) -> int:
        position = Sequencer(self._database).catch_up()
        Runner(self._database, self._codec, READ_MODELS).catch_up(position, *names)
        return position

    def _after_fork(self) -> None:
        self._closing = threading.Lock()
        if self._server is not None:
            self._server.after_fork()


def _recorder_options(database: Database, settings: Settings, server: EmbeddedServer | None) -> RecorderOptions:
    base = settings.spool_path(server.data_dir if server else None)
    options = {
        field: getattr(settings, field) for field in RecorderOptions.__struct_fields__ if field != "directory"
    }
    return RecorderOptions(**options, directory=base and base / str(ledger_id(database)))


def _now() -> datetime:
    return datetime.now(UTC)
