"""A server of this worker only, that a test may kill, freeze and bring back."""

import fcntl
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo
from support.waiting import eventually

from keyledger.infrastructure import schema
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.embedded import EmbeddedServer

# What the operating system has outlives a killed postmaster; what waits in shared memory does not.
SURVIVES_KILLS = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "60"}


class PrivateServer:
    """A PostgreSQL in a data directory of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.lease = EmbeddedServer.acquire(data_dir, options=SURVIVES_KILLS)
        self.data_dir = data_dir

    @property
    def pid(self) -> int:
        """The number of the postmaster."""
        return int((self.data_dir / "cluster" / "postmaster.pid").read_text().split()[0])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the postmaster alone."""
        os.kill(self.pid, number)

    def freeze(self, backends: Iterable[int], number: signal.Signals = signal.SIGSTOP) -> None:
        """Stop the postmaster and these backends where they are, or let them go on (SIGCONT)."""
        for pid in (self.pid, *backends):
            os.kill(pid, number)

    def kill(self) -> None:
        """Kill -9 the postmaster, and return when its sessions, which outlive it for a moment, are gone."""
        self.send(signal.SIGKILL)
        eventually(self._is_gone)

    def start(self) -> None:
        """Bring the server back."""
        self.lease.ensure_running()

    @contextmanager
    def as_standby(self) -> Iterator[None]:
        """In the block it is a standby, of nobody."""
        signal_file = self.data_dir / "cluster" / "standby.signal"
        self.kill()
        self.start()  # with settings of our own, whoever started it last
        with psycopg.connect(self.lease.conninfo, autocommit=True) as connection:
            connection.execute("CHECKPOINT")  # a standby begins there, and sees no others
        self.kill()
        signal_file.touch()
        try:
            self.start()
            yield
            self.kill()
        finally:
            signal_file.unlink()
            self.start()

    def new_dsn(self, *, migrated: bool = True) -> str:
        """A new database."""
        name = f"db_{uuid4().hex}"
        with psycopg.connect(self.lease.conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        dsn = make_conninfo(self.lease.conninfo, dbname=name)
        if migrated:
            database = Database(dsn)
            schema.migrate(database)
            database.close()
        return dsn

    def _is_gone(self) -> bool:
        """Every process of the server holds a lock on this file."""
        with (self.data_dir / "server.lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True
