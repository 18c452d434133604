"""Peppers against the ledger: one that was lost or changed must be an error, and no refusal of every key."""

import logging

import psycopg

from keyledger.domain.digest import Peppers
from keyledger.domain.errors import PepperUnavailable
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES

_log = logging.getLogger("keyledger.peppers")

_SEARCH = "SET LOCAL statement_timeout = 1000"
"""Milliseconds: one that no key needs any more has every key read, of which there may be very many."""


def check(database: Database, peppers: Peppers) -> None:
    """Raise PepperUnavailable if a pepper is not the one that the ledger knows by that id."""
    found = peppers.fingerprints()
    before = known(database)
    wrong = [kid for kid, fingerprint in found.items() if before.get(kid, fingerprint) != fingerprint]
    if wrong:
        raise PepperUnavailable(
            f"the pepper {wrong[0]!r} is not the one that this ledger knows by that id: keys would be refused."
            " Give the one that was used before, and a new one under a new id"
        )
    if found.keys() - before.keys():
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


def known(database: Database) -> dict[str, bytes]:
    """The fingerprints of the peppers that the ledger knows, by id."""

    def find(connection: DeadlineConnection) -> dict[str, bytes]:
        return dict(connection.execute(QUERIES["find_peppers"]).fetchall())

    return database.run(find)
