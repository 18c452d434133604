"""The files of a data directory: where each one is."""

import os
from dataclasses import dataclass
from pathlib import Path

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.owned_files import PRIVATE_FOLDER

_OF_FILE_SYSTEM = "lost+found"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The layout of one data directory; `path` is absolute and resolved."""

    path: Path

    @property
    def start_lock(self) -> Path:
        """Held alone by whoever starts, attaches to or waits for the end of the server."""
        return self.path / "start.lock"

    @property
    def lease(self) -> Path:
        """Held shared by each user of the server, and alone by the supervisor while it stops the server."""
        return self.path / "lease.lock"

    @property
    def server_lock(self) -> Path:
        """Held for as long as one process of the server, or of its initdb, is alive."""
        return self.path / "server.lock"

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory; it exists only when initdb was completed."""
        return self.path / "cluster"

    @property
    def unfinished(self) -> Path:
        """Where initdb works; rubbish when it is found at a start."""
        return self.path / "initdb.tmp"

    @property
    def passfile(self) -> Path:
        """The password, in libpq's passfile format."""
        return self.path / "passfile"

    @property
    def log(self) -> Path:
        """What the server, and the supervisor if it fails, wrote to their standard error."""
        return self.path / "server.log"

    @property
    def old_log(self) -> Path:
        """The log before the present one."""
        return self.path / "server.log.1"

    @property
    def socket(self) -> Path:
        """The folder of the Unix socket, or a link to it when this path is too long for a socket."""
        return self.path / "socket"

    @property
    def pepper(self) -> Path:
        """The embedded ledger's own pepper."""
        return self.path / "pepper"

    @property
    def uses(self) -> Path:
        """What processes keep of their uses until these are stored."""
        return self.path / "uses"

    def strangers(self) -> list[str]:
        """Return the names of what is in the directory and was not made for it, but for hidden ones."""
        own = [entry.name for entry in self.own_entries()]
        return [
            entry.name
            for entry in sorted(self.path.iterdir())
            if not entry.name.startswith((".", *(f"{name}." for name in own)))
            and entry.name not in (*own, _OF_FILE_SYSTEM)
        ]

    def own_entries(self) -> list[Path]:
        """Return every path in the data directory that the embedded server, or its ledger, makes."""
        return [
            self.start_lock,
            self.lease,
            self.server_lock,
            self.cluster,
            self.unfinished,
            self.passfile,
            self.log,
            self.old_log,
            self.socket,
            self.pepper,
            self.uses,
        ]


def create_data_folder(data_dir: Path) -> DataFolder:
    """Return the layout of `data_dir`, which is created (0700) with its parents when it is missing.

    An existing directory keeps its mode, and so does each parent. Raises EmbeddedServerError, also where it holds
    other things and no cluster: then its name was a slip.
    """
    try:
        path = data_dir.expanduser().resolve()
    except RuntimeError as error:  # no such user, or a loop of links
        raise EmbeddedServerError(f"the data directory {data_dir} cannot be found: {error}") from error
    try:
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise EmbeddedServerError(
            f"{error.filename} is a file, and the data directory {path} cannot be made: choose another data_dir"
        ) from error
    folder = DataFolder(path)
    if not folder.cluster.exists() and (others := folder.strangers()):
        raise EmbeddedServerError(
            f"{path} holds no ledger but other things ({others[0]}): give a new or an empty folder, or a ledger's"
        )
    return folder


def give_away(folder: DataFolder, uid: int, gid: int) -> None:
    """Make the account `uid`, `gid` own the data directory and what the embedded server keeps in it."""
    for entry in folder.own_entries():
        for path in [entry, *entry.rglob("*")] if entry.is_dir() and not entry.is_symlink() else [entry]:
            if os.path.lexists(path):
                os.chown(path, uid, gid, follow_symlinks=False)
    os.chown(folder.path, uid, gid)
