"""Reading the control read model: one key, or a page of a subject's keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from psycopg.rows import TupleRow

from keyledger.domain.digest import Digest
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.key_search import KeySearch
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.read_models.listing import ListingModel
from keyledger.projections import listing

FEW_KEYS = 500
"""A subject with no more keys than this is read whole."""

MOST_WAITING = 5_000
"""With more events than this that the counts do not know yet, keys are counted one by one."""

_LARGEST_OFFSET = 2**62
_USUAL_TYPE = "api_key"
_TREE = {
    "name": ListingModel.name,
    "version": ListingModel.version,
    "few": FEW_KEYS,
    "most_waiting": MOST_WAITING,
    "leaf_keys": listing.LEAF_KEYS,
    "top": listing.TOP,
    "step": listing.STEP,
    "bottom": listing.BOTTOM,
    "earliest": listing.EARLIEST_MICROSECOND,
}


class KeyView(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key as a caller may see it: its control row without the digest, whether it has expired, its last use.

    The fields are in the order of the columns that the queries return.
    """

    id: UUID
    type: str
    name: str
    subject: str
    description: str | None
    claims: str | None
    scopes: Sequence[str]
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    expiration: datetime | None
    revoked_at: datetime | None
    revocation_reason: str | None
    expired: bool
    last_used_at: datetime | None


class LookedUp(msgspec.Struct, frozen=True, gc=False):
    """What a server says of a key: the key and its secret's digest, or None for both; `server` as in an Answer."""

    server: str | None
    view: KeyView | None
    digest: Digest | None


class KeyViews:
    """The read side, always from the primary: a caller reads its own writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key_id: UUID) -> KeyView | None:
        """The key, or None."""
        values = self._one("find_key", key_id)
        return None if values is None else KeyView(*values)

    def look_up(self, key_id: UUID) -> LookedUp:
        """The key and its secret's digest, and which server knows them so."""
        values = self._one("look_up_key", key_id)
        assert values is not None
        server, *view, algorithm, kid, value = values
        if view[0] is None:
            return LookedUp(server, None, None)
        return LookedUp(server, KeyView(*view), Digest(algorithm=algorithm, kid=kid, value=value))

    def page(
        self,
        *,
        subject: str,
        query: str | None,
        offset: int,
        limit: int,
        include_invalid: bool,
        kind: str | None = None,
    ) -> tuple[list[KeyView], int]:
        """The keys of a page, newest first, and the number of all that match; of one type, if `kind` names it."""
        search = KeySearch.of(query) if query else None
        parameters = {
            "subject": subject,
            "pattern": search and search.pattern,
            "grams": search and search.grams,
            "offset": min(offset, _LARGEST_OFFSET),
            "limit": limit,
            "include_invalid": include_invalid,
            "type": kind,
        }
        rows = self._database.run(partial(_page_rows, parameters=parameters))
        return [KeyView(*row[1:]) for row in rows if row[1] is not None], rows[0][0]

    def _one(self, query: str, key_id: UUID) -> TupleRow | None:
        statement, parameters = QUERIES[query], {"id": key_id}
        return self._database.run(
            lambda connection: connection.execute(statement, parameters, prepare=True, binary=True).fetchone()
        )


def _page_rows(connection: DeadlineConnection, *, parameters: Mapping[str, Any]) -> list[TupleRow]:
    """The rows of a page by the cheapest way that knows it.

    Most subjects have few keys. What searches those of the others, or counts them one by one, is planned each time
    anew for the very subject and text: a plan for any of them would be a bad one for most.
    """
    rows = connection.execute(QUERIES["list_few_keys"], {**parameters, **_TREE}).fetchall()
    if rows:
        return rows
    if parameters["pattern"] is not None:
        return connection.execute(QUERIES["search_keys"], parameters, prepare=False).fetchall()
    rows = []
    if _is_every_type(connection, parameters):
        rows = connection.execute(QUERIES["list_many_keys"], {**parameters, **_TREE}).fetchall()
    return rows or connection.execute(QUERIES["list_keys"], parameters, prepare=False).fetchall()


def _is_every_type(connection: DeadlineConnection, parameters: Mapping[str, Any]) -> bool:
    """Whether the counts serve, which know no types: where all of the subject's keys are of the wanted one."""
    if parameters["type"] in (None, _USUAL_TYPE):
        return parameters["type"] is None or (
            connection.execute(QUERIES["find_other_types"], parameters).fetchone() == (False,)
        )
    return False
