"""The embedded ledger's own pepper, in a file beside its data."""

import os
import secrets
from pathlib import Path

from keyledger.domain.digest import PEPPER_BYTES, Peppers
from keyledger.domain.errors import EmbeddedServerError, PepperUnavailable
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.owned_files import open_owned, sync_folder
from keyledger.infrastructure.peppers import known

EMBEDDED = "embedded"


def read_or_create(database: Database, path: Path) -> dict[str, bytes]:
    """The embedded ledger's own pepper, by its id, kept in a file beside the data and never in it.

    It is made once: PepperUnavailable if the file is gone and the ledger has known one. Of several processes that
    make it at once, one wins and all read the same. The file belongs to the owner of its folder.
    Raises EmbeddedServerError when it cannot be made or read, or has another length.
    """
    try:
        if not path.exists():
            if EMBEDDED in known(database):
                raise PepperUnavailable(
                    f"the pepper of this ledger is gone: restore the file {path}, its keys need it"
                )
            _create(path)
        pepper = path.read_bytes()
    except OSError as error:
        raise EmbeddedServerError(
            f"the pepper file {path} cannot be made or read: {error.strerror}: the owner of {path.parent} must own"
            " it and be able to read it"
        ) from error
    if len(pepper) != PEPPER_BYTES:
        raise EmbeddedServerError(
            f"the pepper file {path} holds {len(pepper)} bytes and not {PEPPER_BYTES}: put it back from a backup"
        )
    return {EMBEDDED: pepper}


def with_own(given: dict[str, bytes], own: dict[str, bytes]) -> Peppers:
    """Those that the settings give, the first of which makes new digests, and the embedded ledger's own.

    Raises PepperUnavailable where the settings give another one by the id of its own.
    """
    if given.get(EMBEDDED, own.get(EMBEDDED)) != own.get(EMBEDDED, given.get(EMBEDDED)):
        raise PepperUnavailable(
            f"the pepper {EMBEDDED!r} that the settings give is not this ledger's own: leave it out, or rename it"
        )
    return Peppers({**given, **own})


def _create(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = open_owned(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
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
    sync_folder(path.parent)
