"""What requests say in their bodies, field by field (Clerk's Backend API and Frontend API)."""

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from keyledger.domain.use import clean
from keyledger.http.problems import bad_request
from keyledger.http.strict_json import NotJSON, decode

T = TypeVar("T", bound=msgspec.Struct)

Number = int | float

_DETAIL_CHARACTERS = 200


class Create(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's createApiKey."""

    name: str
    subject: str
    type: str = "api_key"
    description: str | None = None
    claims: Any = None
    scopes: list[str] = []
    created_by: str | None = None
    seconds_until_expiration: Number | None = None


class Update(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's updateApiKey: what is left out stays, null clears."""

    claims: Any = UNSET
    scopes: list[str] | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    subject: str | UnsetType = UNSET
    seconds_until_expiration: Number | UnsetType | None = UNSET


class Revoke(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's revokeApiKey."""

    revocation_reason: str | None = None


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's verifyApiKey."""

    secret: str

    def __repr__(self) -> str:
        return "Verify(secret=…)"


class BrowserCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Create in Clerk's Frontend API: who is signed in chooses neither scopes nor claims."""

    name: str
    subject: str | None = None
    type: str = "api_key"
    description: str | None = None
    seconds_until_expiration: Number | None = None


class BrowserUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Update in Clerk's Frontend API."""

    description: str | UnsetType | None = UNSET


def body_of(data: bytes, kind: type[T], *, optional: bool = False) -> T:
    """The body as a struct; an empty one as `{}` where it is optional. Raises Problem."""
    try:
        return msgspec.convert({} if optional and not data.strip() else decode(data), kind)
    except NotJSON as error:
        raise bad_request(f"Invalid body: {error}.", "body") from None
    except msgspec.ValidationError as error:
        # Its message has types and no value, but names an unknown field: somebody may have sent a secret as one.
        raise bad_request(f"Invalid body: {clean(str(error))[:_DETAIL_CHARACTERS]}.", "body") from None
