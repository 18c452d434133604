"""The server process of one data directory: started, awaited and found again."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded import log, program, socket_folder, supervisor
from keyledger.infrastructure.embedded.account import Account, choose_account
from keyledger.infrastructure.embedded.binaries import Binaries
from keyledger.infrastructure.embedded.cluster import ROLE, ensure_cluster
from keyledger.infrastructure.embedded.files import DataFolder
from keyledger.infrastructure.embedded.lock import Deadline, is_free, is_shared

DATABASE = "keyledger"
LONGEST_CONNECT = 5
SETTINGS = {
    "listen_addresses": "",
    "port": str(socket_folder.PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
    # No parameter may reach the log: neither statements, nor an error's text and detail, which quote values.
    "log_statement": "none",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """How the server of `folder` is started; `options` overrule the settings above at a start."""

    folder: DataFolder
    binaries: Binaries
    options: Mapping[str, str]

    def conninfo(self, database: str = DATABASE) -> str:
        """Return libpq's connection string for `database`, without the password."""
        return make_conninfo(
            host=str(socket_folder.locate(self.folder)),
            port=socket_folder.PORT,
            dbname=database,
            user=ROLE,
            passfile=str(self.folder.passfile),
            # Set, though empty: otherwise PGPASSWORD and PGHOSTADDR, meant for another server, would win.
            password="",
            hostaddr="",
        )

    def is_up(self) -> bool:
        """Return whether the postmaster answers, be it with "not yet"; takes a millisecond at most."""
        return socket_folder.answers(self.folder)

    def bring_up(self, deadline: Deadline) -> None:
        """Return when the server answers, started if need be; the caller holds the start lock and a lease.

        Raises EmbeddedServerError when it ends at once, or does not answer before `deadline`.
        """
        launched = False
        while not self._is_ready(deadline):
            # Backends that outlive a killed postmaster hold the lock, and the shared memory, for a while.
            if is_free(self.folder.server_lock):
                if launched:
                    raise self._failure("ended while it started")
                self._launch(deadline)
                launched = True
            if not deadline.pause():
                raise self._failure(f"did not answer within {deadline.seconds:g} s")

    def await_end(self, deadline: Deadline) -> None:
        """Return when no process of the server is left, or when somebody else has a lease on it."""
        while not is_free(self.folder.server_lock) and not is_shared(self.folder.lease):
            if not deadline.pause():
                raise self._failure(f"did not stop within {deadline.seconds:g} s")

    def _is_ready(self, deadline: Deadline) -> bool:
        if not self.is_up():
            return False
        patience = max(1, min(LONGEST_CONNECT, math.ceil(deadline.remaining())))  # 0 would mean for ever
        try:
            connection = psycopg.connect(self.conninfo("postgres"), autocommit=True, connect_timeout=patience)
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise EmbeddedServerError(
                    f"the server refuses the password in {self.folder.passfile}: put the file back from a backup"
                ) from error
            return False
        with connection:
            _ensure_database(connection)
        return True

    def _launch(self, deadline: Deadline) -> None:
        account = choose_account(self.folder, self.binaries, deadline)
        durable = self.options.get("fsync") != "off"
        ensure_cluster(self.folder, self.binaries, account, deadline, durable=durable)
        sockets = socket_folder.prepare(self.folder)
        settings = {**SETTINGS, "unix_socket_directories": str(sockets), **self.options}
        server = [str(self.binaries.postgres), "-D", str(self.folder.cluster)]
        for name, value in settings.items():
            server += ["-c", f"{name}={value}"]
        if self._supervise(account, server) != 0:
            raise self._failure("could not be started")

    def _supervise(self, account: Account, server: list[str]) -> int:
        owner = "-" if account.uid is None else f"{account.uid}:{account.gid}"
        files = [self.folder.lease, self.folder.server_lock, self.folder.cluster]
        # Isolated and without site packages: it starts in 20 ms and imports nothing of the caller's.
        command = [*account.prefix, _python(), "-I", "-S", supervisor.__file__, *map(str, files), owner, *server]
        with log.reopen(self.folder) as output:
            return program.run(command, output=output, folder=self.folder.path).returncode

    def _failure(self, what: str) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"PostgreSQL in {self.folder.path} {what}; {self.folder.log} ends with:\n{log.tail(self.folder)}"
        )


def _ensure_database(connection: psycopg.Connection) -> None:
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    if connection.execute(query, [DATABASE]).fetchone() is None:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _python() -> str:
    # A program that embeds Python (uwsgi, a frozen application) is not an interpreter.
    if sys.executable and Path(sys.executable).name.startswith(("python", "pypy")):
        return sys.executable
    return str(Path(sys.prefix) / "bin" / "python3")
