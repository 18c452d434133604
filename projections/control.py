"""The control read model: one row a key, for lists, search and verification."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from keyledger.domain.api_key import APIKey, evolve
from keyledger.domain.digest import Digest
from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import KeyUsed, StoredEvent, UsesLost
from keyledger.projections.sequenced import SequencedEvent


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


def key(row: ControlRow) -> APIKey:
    """The key that a row was made of."""
    fields = {
        field: getattr(row, field)
        for field in APIKey.__struct_fields__
        if field not in ("scopes", "digest", "deleted_at")
    }
    digest = Digest(algorithm=row.digest_algorithm, kid=row.digest_kid, value=row.digest)
    return APIKey(**fields, scopes=tuple(row.scopes), digest=digest)


def fold(before: Mapping[UUID, ControlRow], events: Iterable[SequencedEvent]) -> dict[UUID, ControlRow | None]:
    """The rows of every key that the events change, None for one that they delete.

    An event that its row knows already changes nothing.
    """
    keys = {key_id: key(row) for key_id, row in before.items()}
    changed: dict[UUID, APIKey] = {}
    for sequenced in events:
        key_id, version = sequenced.originator_id, sequenced.originator_version
        known = keys.get(key_id)
        if isinstance(sequenced.event, KeyUsed | UsesLost) or (known is not None and version <= known.version):
            continue
        stored = StoredEvent(originator_id=key_id, originator_version=version, event=sequenced.event)
        after = evolve(known, stored)
        if after is None:
            raise UnreadableEvent(f"position {sequenced.position}: the stream does not begin with a KeyCreated")
        keys[key_id] = changed[key_id] = after
    return {key_id: row(each) if each.deleted_at is None else None for key_id, each in changed.items()}


def searchable(text: str) -> str:
    """The text without the differences that a search does not see: case and Unicode's ways to compose a letter.

    Done here and not by the database, whose idea of case depends on its locale.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
