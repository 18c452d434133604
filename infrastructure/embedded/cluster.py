"""The cluster: PostgreSQL's own data directory, made by initdb once and then only opened."""

import secrets
import sys
from pathlib import Path

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded.account import Account
from keyledger.infrastructure.embedded.binaries import Binaries
from keyledger.infrastructure.embedded.data_folder import DataFolder
from keyledger.infrastructure.embedded.lock import Deadline, exclusively
from keyledger.infrastructure.embedded.program import last_lines
from keyledger.infrastructure.owned_files import make_folder, remove_tree, sync_folder, write_owned

ROLE = "keyledger"
PASSWORD_BYTES = 32
FIRST_BUILTIN_LOCALE = 17
HBA = "# Only the Unix socket, only with the password in ../passfile\nlocal all all scram-sha-256\n"


def ensure_cluster(
    folder: DataFolder, binaries: Binaries, account: Account, deadline: Deadline, *, durable: bool
) -> None:
    """Make the cluster if there is none, else check that these programs can open it.

    `durable` False leaves its first bytes to the operating system. Raises EmbeddedServerError.
    """
    major = binaries.major_version()
    if not folder.cluster.exists():
        # initdb inherits the lock, so nobody clears its folder away while an orphan of it still writes.
        with exclusively(folder.server_lock, deadline) as lock:
            _initialise(
                folder, _initdb_command(binaries, major, durable=durable), account, deadline, lock.fileno()
            )
    _require_version(folder, major)
    if not folder.passfile.exists():
        raise EmbeddedServerError(
            f"{folder.passfile} is missing: put it back from a backup; nothing else holds the server's password"
        )


def _initialise(
    folder: DataFolder, command: list[str], account: Account, deadline: Deadline, lock_fd: int
) -> None:
    remove_tree(folder.unfinished)
    make_folder(folder.unfinished)
    draft, password_file = folder.unfinished / "cluster", folder.unfinished / "password"
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    write_owned(password_file, f"{password}\n")
    arguments = [f"--pgdata={draft}", f"--pwfile={password_file}"]
    answer = account.run([*command, *arguments], deadline, inherit=[lock_fd])
    if answer.returncode != 0:
        remove_tree(folder.unfinished)
        raise EmbeddedServerError(
            f"initdb could not make a database cluster in {folder.path}:\n{last_lines(answer.stderr)}"
        )
    write_owned(draft / "pg_hba.conf", HBA)
    # The password is in place before the cluster that needs it.
    write_owned(folder.passfile, f"*:*:*:{ROLE}:{password}\n")
    draft.rename(folder.cluster)
    sync_folder(folder.path)
    remove_tree(folder.unfinished)


def _initdb_command(binaries: Binaries, major: int, *, durable: bool) -> list[str]:
    # With a character type of C, pg_trgm would drop every letter beyond ASCII.
    character_type = "UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    command = [
        str(binaries.initdb),
        f"--username={ROLE}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        f"--lc-ctype={character_type}",
        "--data-checksums",
        "--no-instructions",
    ]
    if major >= FIRST_BUILTIN_LOCALE:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return command if durable else [*command, "--no-sync"]


def _require_version(folder: DataFolder, major: int) -> None:
    found = _read_version(folder.cluster / "PG_VERSION")
    if found != str(major):
        raise EmbeddedServerError(
            f"{folder.path} was made by PostgreSQL {found}, and the programs here are PostgreSQL {major}: name"
            f" the programs of PostgreSQL {found} in KEYLEDGER_POSTGRES_BIN, or move the data with pg_upgrade"
        )


def _read_version(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise EmbeddedServerError(f"{path.parent} is not a PostgreSQL cluster: choose another data_dir") from error
