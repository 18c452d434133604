"""The embedded server as its users see it: a lease on the PostgreSQL of a data directory."""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import psycopg

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded.binaries import find_binaries
from keyledger.infrastructure.embedded.data_folder import create_data_folder
from keyledger.infrastructure.embedded.lock import Deadline, FileLock, exclusively
from keyledger.infrastructure.embedded.postmaster import Postmaster

NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class EmbeddedServer:
    """A lease on the server of one data directory; the server runs while one lease, of any process, is held.

    Made by `acquire`. A lease ends with `release`, or with its process, however that ends. Thread-safe.
    """

    def __init__(self, postmaster: Postmaster, timeout_seconds: float) -> None:
        self._postmaster = postmaster
        self._timeout_seconds = timeout_seconds
        self._mutex = threading.RLock()
        self._lease: FileLock | None = None
        self._conninfo = ""

    @classmethod
    def acquire(
        cls,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        options: Mapping[str, str] = NO_OPTIONS,
        timeout_seconds: float = 60.0,
    ) -> "EmbeddedServer":
        """Start the server of `data_dir`, or join it when it runs, and return when it answers.

        `data_dir` is created (0700) when it is missing. `bin_dir` holds PostgreSQL's programs (15 or newer);
        None means KEYLEDGER_POSTGRES_BIN, else the wheel's. `options` are settings of postgresql.conf for
        a start; a server that already runs keeps its own. `timeout_seconds` bounds the whole call, crash
        recovery included. Raises EmbeddedServerError.
        """
        if sys.platform == "win32":
            raise EmbeddedServerError("the embedded PostgreSQL does not run on Windows: give a DSN")
        with _failures_of(data_dir):
            folder = create_data_folder(data_dir)
            server = cls(Postmaster(folder, find_binaries(bin_dir), dict(options)), timeout_seconds)
            server._join()
        return server

    @property
    def conninfo(self) -> str:
        """libpq's connection string for the database `keyledger`; it names the passfile, not the password."""
        return self._conninfo

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute and with its links resolved."""
        return self._postmaster.folder.path

    def ensure_running(self) -> None:
        """Start the server again if it is down; takes a millisecond when it is up.

        Raises EmbeddedServerError when it cannot be started, or when the lease was released.
        """
        with self._mutex, _failures_of(self.data_dir):
            if self._lease is None:
                raise EmbeddedServerError(f"the lease on {self.data_dir} was released: acquire it again")
            if not self._postmaster.is_up():
                deadline = Deadline(self._timeout_seconds)
                with exclusively(self._postmaster.folder.start_lock, deadline):
                    self._postmaster.bring_up(deadline)

    def after_fork(self) -> None:
        """Take a lease of its own for a forked child, in the child; the parent's is left as it is.

        Starts the server if the parent has stopped it since. Raises EmbeddedServerError.
        """
        self._mutex = threading.RLock()  # another thread may have held it at the fork
        if self._lease is None:
            return
        self._lease.abandon()
        self._lease = None
        with _failures_of(self.data_dir):
            self._join()

    def release(self) -> None:
        """End the lease; the last holder returns when the server is down. Does nothing the second time.

        Raises EmbeddedServerError when the server does not stop in time; the lease has ended all the same.
        """
        with self._mutex:
            lease, self._lease = self._lease, None
            if lease is None:
                return
            lease.release()
            with _failures_of(self.data_dir):
                self._await_end()

    def _join(self) -> None:
        deadline = Deadline(self._timeout_seconds)
        folder = self._postmaster.folder
        with exclusively(folder.start_lock, deadline):
            lease = FileLock(folder.lease)
            try:
                # Refused while a supervisor stops the server: then this start follows that stop.
                lease.shared(deadline)
                self._postmaster.bring_up(deadline)
            except BaseException:
                lease.release()
                raise
            self._lease, self._conninfo = lease, self._postmaster.conninfo()

    def _await_end(self) -> None:
        deadline = Deadline(self._timeout_seconds)
        try:
            # Under the start lock nobody else probes the lease, so what is seen of it is true.
            with exclusively(self._postmaster.folder.start_lock, deadline):
                self._postmaster.await_end(deadline)
        except FileNotFoundError:
            return  # the data directory was deleted, and its server ends with the lease


@contextmanager
def _failures_of(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(
            f"the embedded PostgreSQL in {data_dir} failed: {error}: choose a data_dir that this user may write"
            " to, on a disk with room, or give a DSN"
        ) from error
    except psycopg.Error as error:
        raise EmbeddedServerError(f"the embedded PostgreSQL in {data_dir} failed: {error}") from error
