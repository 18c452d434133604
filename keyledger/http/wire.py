"""Keys as Clerk's clients read them."""

import json
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from keyledger.api_key import APIKey


class Answer(Response):
    """JSON, of the content type that `@clerk/backend` needs: with a charset it gives its caller the bare text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


class KeyObject(msgspec.Struct, frozen=True, kw_only=True):
    """Clerk's API key object; moments are Unix time in milliseconds. The secret is there when the key is new."""

    object: Literal["api_key"] = "api_key"
    id: str
    type: str
    subject: str
    name: str
    description: str | None
    claims: msgspec.Raw
    scopes: tuple[str, ...]
    revoked: bool
    revocation_reason: str | None
    expired: bool
    expiration: int | None
    created_by: str | None
    last_used_at: int | None
    created_at: int
    updated_at: int
    secret: str | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"KeyObject(id={self.id!r})"


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Clerk's page of keys; total_count: on all pages."""

    data: list[KeyObject]
    total_count: int


class DeletedObject(msgspec.Struct, frozen=True, kw_only=True):
    """Clerk's deleted object."""

    object: Literal["api_key"] = "api_key"
    id: str
    deleted: bool = True


def key_object(key: APIKey, *, secret: str | None = None) -> KeyObject:
    """A key as it goes over the wire."""
    return KeyObject(
        id=key.id,
        type=key.type,
        subject=key.subject,
        name=key.name,
        description=key.description,
        claims=raw(key.claims),
        scopes=key.scopes,
        revoked=key.revoked,
        revocation_reason=key.revocation_reason,
        expired=key.expired,
        expiration=None if key.expiration is None else milliseconds(key.expiration),
        created_by=key.created_by,
        last_used_at=None if key.last_used_at is None else milliseconds(key.last_used_at),
        created_at=milliseconds(key.created_at),
        updated_at=milliseconds(key.updated_at),
        secret=UNSET if secret is None else secret,
    )


def raw(value: object) -> msgspec.Raw:
    """The value as JSON, with numbers of any size."""
    return msgspec.Raw(json.dumps(value, ensure_ascii=False).encode())


def milliseconds(moment: datetime) -> int:
    """Since 1970."""
    return int(moment.timestamp() * 1000)
