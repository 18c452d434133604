"""Reading the control read model: one key, or a page of a subject's keys."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from psycopg.rows import TupleRow

from keyledger.domain.digest import Digest
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.control import searchable

_LARGEST_OFFSET = 2**63 - 1


class KeyView(msgspec.Struct, frozen=True):
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


class Filled(msgspec.Struct, frozen=True):
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

    def find_with_digest(self, key_id: UUID) -> tuple[KeyView, Digest] | None:
        """The key and its secret's digest, or None."""
        values = self._one("find_key_and_digest", key_id)
        if values is None:
            return None
        *view, algorithm, kid, value = values
        return KeyView(*view), Digest(algorithm=algorithm, kid=kid, value=value)

    def fill(self, key_id: UUID) -> Filled:
        """The key and its secret's digest, and which server knows them so."""
        values = self._one("fill_key", key_id)
        assert values is not None
        server, *view, algorithm, kid, value = values
        if view[0] is None:
            return Filled(server, None, None)
        return Filled(server, KeyView(*view), Digest(algorithm=algorithm, kid=kid, value=value))

    def page(
        self, *, subject: str, query: str | None, offset: int, limit: int, include_invalid: bool
    ) -> tuple[list[KeyView], int]:
        """The keys of a page, newest first, and the number of all that match."""
        parameters = {
            "subject": subject,
            "pattern": _pattern(query) if query else None,
            "offset": min(offset, _LARGEST_OFFSET),
            "limit": limit,
            "include_invalid": include_invalid,
        }
        statement = QUERIES["list_keys"]
        rows = self._database.run(lambda connection: connection.execute(statement, parameters).fetchall())
        return [KeyView(*row[1:]) for row in rows if row[1] is not None], rows[0][0]

    def _one(self, query: str, key_id: UUID) -> TupleRow | None:
        statement, parameters = QUERIES[query], {"id": key_id}
        return self._database.run(
            lambda connection: connection.execute(statement, parameters, prepare=True).fetchone()
        )


def _pattern(query: str) -> str:
    """A LIKE pattern that takes the query literally."""
    escaped = searchable(query).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
