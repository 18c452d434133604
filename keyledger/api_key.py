"""The values that callers get: a key, and a page of keys."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from keyledger.domain.errors import LedgerClosed
from keyledger.domain.ids import key_id_text
from keyledger.domain.scopes import Grant
from keyledger.infrastructure.key_view import KeyView

_MASKED = "ak_…"


class APIKey(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An API key as it was when it was read (Clerk's `APIKey`). Datetimes are aware, in UTC.

    `secret` is set only by `create`; it shows in no repr, str or pickle.
    `secret_already_issued` says that this create was a repetition, so that the secret cannot be given again.
    """

    id: str
    type: str
    name: str
    subject: str
    description: str | None
    claims: Any
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    expiration: datetime | None
    expired: bool
    last_used_at: datetime | None
    revoked: bool
    revocation_reason: str | None
    secret: str | None = None
    secret_already_issued: bool = False
    _get: Callable[[str], "APIKey"] | None = None

    def reload(self) -> "APIKey":
        """The key as it is now, read from the primary; never with its secret.

        Raises KeyNotFound, LedgerUnavailable, and LedgerClosed for a key that was unpickled.
        """
        if self._get is None:
            raise LedgerClosed("this key was unpickled and belongs to no ledger; read it with api_keys.get(id)")
        return self._get(self.id)

    def allows(self, *scopes: str) -> bool:
        """Whether the key has all of these scopes, by its patterns as well (`repo:*`). It may be revoked."""
        return Grant.of(self.scopes).allows(scopes)

    def as_dict(self) -> dict[str, Any]:
        """The fields by name. The secret is among them only where it is set."""
        fields = {field: getattr(self, field) for field in _PUBLIC}
        if self.secret is not None:
            fields["secret"] = self.secret
        return fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, APIKey) and self.as_dict() == other.as_dict()

    def __ne__(self, other: object) -> bool:  # a Struct's own does not ask __eq__
        return not self == other

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"APIKey({', '.join(f'{field}={value!r}' for field, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The fields, with the secret masked."""
        return list({**self.as_dict(), **({"secret": _MASKED} if self.secret else {})}.items())

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], "APIKey"], tuple[dict[str, Any]]]:
        fields = self.as_dict()
        fields.pop("secret", None)
        return _unpickled, (fields,)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of keys, and how many there are on all pages."""

    data: tuple[APIKey, ...]
    total_count: int


def api_key(view: KeyView, get: Callable[[str], APIKey], **extra: Any) -> APIKey:
    """The caller's form of a key."""
    return APIKey(
        id=key_id_text(view.id),
        type=view.type,
        name=view.name,
        subject=view.subject,
        description=view.description,
        claims=None if view.claims is None else json.loads(view.claims),
        scopes=tuple(view.scopes),
        created_at=view.created_at.astimezone(UTC),
        created_by=view.created_by,
        updated_at=view.updated_at.astimezone(UTC),
        expiration=view.expiration and view.expiration.astimezone(UTC),
        expired=view.expired,
        last_used_at=view.last_used_at and view.last_used_at.astimezone(UTC),
        revoked=view.revoked_at is not None,
        revocation_reason=view.revocation_reason,
        _get=get,
        **extra,
    )


def _unpickled(fields: dict[str, Any]) -> APIKey:
    return APIKey(**fields)


_PUBLIC = tuple(
    field for field in APIKey.__struct_fields__ if field not in ("secret", "secret_already_issued", "_get")
)
