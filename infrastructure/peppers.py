"""Peppers against the ledger: one that was lost or changed must be an error, and no refusal of every key."""

import logging
import os
import secrets
from pathlib import Path

import psycopg

from keyledger.domain.digest import PEPPER_BYTES, Peppers
from keyledger.domain.errors import EmbeddedServerError, PepperUnavailable
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.embedded.files import open_owned, sync_folder
from keyledger.infrastructure.queries import QUERIES

EMBEDDED = "embedded"

_log = logging.getLogger("keyledger.peppers")

_SEARCH = "SET LOCAL statement_timeout = 1000"
"""Milliseconds: one that no key needs any more has every key read, of which there may be very many."""


def check(database: Database, peppers: Peppers) -> None:
    """Raise PepperUnavailable if a pepper is not the one that the ledger knows by that id."""
    found = peppers.fingerprints()
    known = _known(database)
    wrong = [kid for kid, fingerprint in found.items() if known.get(kid, fingerprint) != fingerprint]
    if wrong:
        raise PepperUnavailable(
            f"the pepper {wrong[0]!r} is not the one that this ledger knows by that id: keys would be refused."
            " Give the one that was used before, and a new one under a new id"
        )
    if found.keys() - known.keys():
        parameters = {"kids": list(found), "fingerprints": list(found.values())}
        database.run(lambda connection: connection.execute(QUERIES["remember_peppers"], parameters))
        check(database, peppers)  # another process may have been quicker, with another one


def missing(database: Database, peppers: Peppers) -> tuple[str, ...]:
    """The ids of the peppers that live keys need and this process was not given.

    None where a second is too short to tell.
    """
    parameters = {"given": list(peppers.fingerprints())}

    def find(connection: DeadlineConnection) -> tuple[str, ...]:
        try:
            with connection.transaction():
                connection.execute(_SEARCH)
                found = connection.execute(QUERIES["find_missing_peppers"], parameters).fetchall()
        except psycopg.errors.QueryCanceled:
            return ()
        return tuple(kid for (kid,) in found)

    return database.run(find)


def told(kids: tuple[str, ...]) -> str:
    """What it means that these are missing, a sentence."""
    named = ", ".join(map(repr, kids))
    return (
        f"live keys were made with a pepper that this process was not given ({named}), so they cannot be verified"
        " here: add it to KEYLEDGER_PEPPERS or Settings.peppers"
    )


def warn_of_missing(database: Database, peppers: Peppers) -> None:
    """Log them, if there are any: a pepper may be taken away once its keys are gone, and no sooner."""
    if kids := missing(database, peppers):
        _log.warning("%s", told(kids))


def read_or_create(database: Database, path: Path) -> dict[str, bytes]:
    """The embedded ledger's own pepper, by its id, kept in a file beside the data and never in it.

    It is made once: PepperUnavailable if the file is gone and the ledger has known one. Of several processes that
    make it at once, one wins and all read the same. The file belongs to the owner of its folder.
    Raises EmbeddedServerError when it cannot be made or read, or has another length.
    """
    try:
        if not path.exists():
            if EMBEDDED in _known(database):
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


def _known(database: Database) -> dict[str, bytes]:
    def find(connection: DeadlineConnection) -> dict[str, bytes]:
        return dict(connection.execute(QUERIES["find_peppers"]).fetchall())

    return database.run(find)


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
