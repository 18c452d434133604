"""Files and folders that this process makes for whoever owns the folder they are in.

When root works in a directory of another account, what it makes belongs to that account: otherwise
one call as root would lock the owner out.
"""

import os
import shutil
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def open_owned(path: Path, flags: int) -> int:
    """Open `path` (0600 when it is created, never through a link) for the owner of its directory."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
    if os.geteuid() == 0 and os.fstat(fd).st_uid == 0:
        parent = path.parent.stat()
        os.fchown(fd, parent.st_uid, parent.st_gid)
    return fd


def write_owned(path: Path, text: str) -> None:
    """Put `text` into `path` (0600) at once and durably, for the owner of its directory."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(open_owned(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def make_folder(path: Path) -> None:
    """Create the folder `path` (0700) for the owner of its directory, unless it is there."""
    path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if os.geteuid() == 0 and path.stat().st_uid == 0:
        parent = path.parent.stat()
        os.chown(path, parent.st_uid, parent.st_gid)


def sync_folder(path: Path) -> None:
    """Make a new name in the folder `path` survive a power failure."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Remove the folder `path` if it is there."""
    if os.path.lexists(path):
        shutil.rmtree(path)
