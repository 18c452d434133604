"""The control read model: one row a key, for lists, search and verification."""

import unicodedata
from datetime import datetime
from uuid import UUID

import msgspec

from keyledger.domain.api_key import APIKey


class ControlRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `api_keys`; `name_search` is the name as searches compare it."""

    id: UUID
    version: int
    type: str
    name: str
    name_search: str
    subject: str
    description: str | None
    claims: str | None
    scopes: list[str]
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    expiration: datetime | None
    revoked_at: datetime | None
    revocation_reason: str | None
    digest_algorithm: str
    digest_kid: str
    digest: bytes


def row(key: APIKey) -> ControlRow:
    """The row of a key as its events made it: fold with `domain.api_key.evolve`, then this."""
    return ControlRow(
        id=key.id,
        version=key.version,
        type=key.type,
        name=key.name,
        name_search=searchable(key.name),
        subject=key.subject,
        description=key.description,
        claims=key.claims,
        scopes=list(key.scopes),
        created_at=key.created_at,
        created_by=key.created_by,
        updated_at=key.updated_at,
        expiration=key.expiration,
        revoked_at=key.revoked_at,
        revocation_reason=key.revocation_reason,
        digest_algorithm=key.digest.algorithm,
        digest_kid=key.digest.kid,
        digest=key.digest.value,
    )


def searchable(text: str) -> str:
    """The text without the differences that a search does not see: case and Unicode's ways to compose a letter.

    Done here and not by the database, whose idea of case depends on its locale.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
