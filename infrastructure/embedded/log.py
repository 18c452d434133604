"""The server's log: one file, kept small at each start."""

import os
from io import BufferedWriter

from keyledger.infrastructure.embedded.data_folder import DataFolder
from keyledger.infrastructure.owned_files import open_owned

LARGEST = 1_000_000
BYTES_QUOTED = 4_000
LINES_QUOTED = 12


def reopen(folder: DataFolder) -> BufferedWriter:
    """Open the log for appending; when it has grown beyond 1 MB, put it aside first as `server.log.1`."""
    if folder.log.exists() and folder.log.stat().st_size > LARGEST:
        folder.log.rename(folder.old_log)
    fd = open_owned(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return os.fdopen(fd, "ab")


def tail(folder: DataFolder) -> str:
    """Return the last lines of the log, for an error message."""
    try:
        with folder.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - BYTES_QUOTED))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"(the log cannot be read: {error.strerror})"
    return "\n".join(text.splitlines()[-LINES_QUOTED:])
