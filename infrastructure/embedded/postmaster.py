"""The server process of one data directory: started, awaited and found again."""

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.errors import ConnectionTimeout

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded import log, program, socket_folder, supervisor
from keyledger.infrastructure.embedded.account import Account, choose_account
from keyledger.infrastructure.embedded.binaries import Binaries
from keyledger.infrastructure.embedded.cluster import ROLE, ensure_cluster
from keyledger.infrastructure.embedded.data_folder import DataFolder
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
# Set, though empty: otherwise the caller's PGPASSWORD, PGOPTIONS and so on, meant for another server, would win.
NEUTRAL = {
    "password": "",
    "hostaddr": "",
    "options": "",
    "client_encoding": "UTF8",
    "sslmode": "disable",
    "sslrootcert": "",
    "gssencmode": "disable",
    "channel_binding": "disable",
    "target_session_attrs": "any",
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
            **NEUTRAL,
        )

    def is_up(self) -> bool:
        """Return whether the postmaster answers, be it with "not yet"; takes a millisecond at most."""
        return socket_folder.answers(self.folder)

    def bring_up(self, deadline: Deadline) -> None:
        """Return when the server answers, started if need be; the caller holds the start lock and a lease.

        Raises EmbeddedServerError when it ends at once, does not answer before `deadline`, or cannot be asked.
        """
        launched = False
        while obstacle := self._find_obstacle(deadline):
            # Backends that outlive a killed postmaster hold the lock, and the shared memory, for a while.
            if is_free(self.folder.server_lock):
                if launched:
                    raise self._failure("ended while it started")
                self._launch(deadline)
                launched = True
            if not deadline.pause():
                raise self._failure(f"did not answer within {deadline.seconds:g} s ({obstacle})")

    def await_end(self, deadline: Deadline) -> None:
        """Return when no process of the server is left, or when somebody else has a lease on it."""
        while not is_free(self.folder.server_lock) and not is_shared(self.folder.lease):
            if not deadline.pause():
                raise self._failure(f"did not stop within {deadline.seconds:g} s")

    def _find_obstacle(self, deadline: Deadline) -> str:
        """Return why the server cannot be used yet, "" when it can; raises what waiting does not mend."""
        if not self.is_up():
            return "nothing listens on its socket"
        patience = max(1, min(LONGEST_CONNECT, math.ceil(deadline.remaining())))  # 0 would mean for ever
        try:
            connection = psycopg.connect(self.conninfo("postgres"), autocommit=True, connect_timeout=patience)
        except psycopg.OperationalError as error:
            self._raise_if_lasting(error)
            return str(error).strip()
        with connection:
            _ensure_database(connection)
        return ""

    def _raise_if_lasting(self, error: psycopg.OperationalError) -> None:
        if "authentication failed" in str(error):
            raise EmbeddedServerError(
                f"the server refuses the password in {self.folder.passfile}: put the file back from a backup"
            ) from error
        # From the moment it tries the socket, libpq names it in every error.
        if socket_folder.SOCKET_NAME not in str(error) and not isinstance(error, ConnectionTimeout):
            raise EmbeddedServerError(
                f"libpq did not even try to connect to the embedded PostgreSQL: {str(error).strip()}; it also"
                f" reads these variables of the environment, of which one may be wrong: {_libpq_variables()}"
            ) from error

    def _launch(self, deadline: Deadline) -> None:
        account = choose_account(self.folder, self.binaries, deadline)
        durable = self.options.get("fsync") != "off"
        ensure_cluster(self.folder, self.binaries, account, deadline, durable=durable)
        sockets = socket_folder.prepare(self.folder)
        settings = {**SETTINGS, "unix_socket_directories": str(sockets), **self.options}
        server = [str(self.binaries.postgres), "-D", str(self.folder.cluster)]
        for name, value in settings.items():
            server += ["-c", f"{name}={value}"]
        if self._supervise(account, sockets, server) != 0:
            raise self._failure("could not be started")

    def _supervise(self, account: Account, sockets: Path, server: list[str]) -> int:
        owner = "-" if account.uid is None else f"{account.uid}:{account.gid}"
        files = [self.folder.lease, self.folder.server_lock, self.folder.cluster, sockets]
        # Isolated and without site packages: it starts in 20 ms and imports nothing of the caller's.
        program_file = supervisor.__file__
        command = [*account.prefix, _python(), "-I", "-S", program_file, *map(str, files), owner, *server]
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


def _libpq_variables() -> str:
    return ", ".join(sorted(name for name in os.environ if name.startswith("PG"))) or "(none is set)"


def _python() -> str:
    # A program that embeds Python (uwsgi, a frozen application) is not an interpreter.
    if sys.executable and Path(sys.executable).name.startswith(("python", "pypy")):
        return sys.executable
    return str(Path(sys.prefix) / "bin" / "python3")
