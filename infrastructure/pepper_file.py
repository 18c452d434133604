"""The pepper of an embedded ledger: made once, kept in a file beside the data and never in it."""

import os
import secrets
from pathlib import Path

from keyledger.domain.digest import PEPPER_BYTES

KID = "embedded"
_NAME = "pepper"


def read_or_create(data_dir: Path) -> dict[str, bytes]:
    """The pepper by its id; of several processes that make it at once, one wins and all read the same."""
    path = data_dir / _NAME
    if not path.exists():
        draft = data_dir / f"{_NAME}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(PEPPER_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return {KID: path.read_bytes()}
