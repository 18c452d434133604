"""The folder of the Unix socket: in the data directory, or a short private one when that path is too long."""

import hashlib
import os
import socket
import stat
import struct
import tempfile
from pathlib import Path

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded.data_folder import DataFolder
from keyledger.infrastructure.owned_files import PRIVATE_FOLDER, make_folder

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
# sun_path holds 108 bytes with the closing zero on Linux, 104 on macOS.
LONGEST_SOCKET_PATH = 103
# The shortest question of the protocol: the length, and a number that stands for "do you speak TLS?".
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
LONGEST_PROBE = 1.0


def locate(folder: DataFolder) -> Path:
    """Return the folder of the socket, which need not exist yet."""
    if _usable(folder.socket):
        return folder.socket
    try:
        # The link records the choice: another process may have another TMPDIR.
        return folder.socket.readlink()
    except FileNotFoundError:
        return _short_folder(folder)


def prepare(folder: DataFolder) -> Path:
    """Create the folder of the socket, empty of stale sockets, and return it; raises EmbeddedServerError."""
    path = locate(folder)
    if path == folder.socket:
        make_folder(path)
    else:
        _prepare_short(path, folder)
    for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
        (path / name).unlink(missing_ok=True)
    return path


def answers(folder: DataFolder) -> bool:
    """Return whether a postmaster answers on the socket, be it with "not yet"; takes a millisecond at most."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(LONGEST_PROBE)
        try:
            probe.connect(str(locate(folder) / SOCKET_NAME))
            # The kernel lets one connect to a postmaster that is being killed; an answer needs a living one.
            probe.sendall(SSL_REQUEST)
            return probe.recv(1) != b""
        except (ConnectionError, FileNotFoundError, NotADirectoryError):
            return False
        except (TimeoutError, BlockingIOError):
            return True  # it is there, and busy


def _usable(path: Path) -> bool:
    # A comma or a quotation mark would end the folder's name in libpq's and in the server's lists.
    length = len(os.fsencode(path / SOCKET_NAME))
    return length <= LONGEST_SOCKET_PATH and not set(str(path)) & set(',"')


def _short_folder(folder: DataFolder) -> Path:
    owner = folder.path.stat().st_uid
    name = f"keyledger-{owner}-{hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:16]}"
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - its owner and mode are checked before use
        path = Path(parent).resolve() / name
        if _usable(path):
            return path
    raise EmbeddedServerError(
        f"no path short enough for a Unix socket: choose a shorter data_dir than {folder.path}"
    )


def _prepare_short(path: Path, folder: DataFolder) -> None:
    owner = folder.path.stat()
    if not os.path.lexists(path):
        path.mkdir(mode=PRIVATE_FOLDER)
    found = path.lstat()
    if os.geteuid() == 0 and stat.S_ISDIR(found.st_mode) and found.st_uid == 0 != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.st_uid or stat.S_IMODE(found.st_mode) & 0o077:
        raise EmbeddedServerError(
            f"{path} is not a private folder of this data directory's owner, so no socket is put there:"
            " remove it, or choose a shorter data_dir"
        )
    if not folder.socket.is_symlink():
        folder.socket.symlink_to(path)
