"""What requests say in their bodies, field by field (Clerk's Backend API and Frontend API)."""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from keyledger.domain.use import clean
from keyledger.http.problems import bad_request
from keyledger.http.strict_json import NotJSON, decode

T = TypeVar("T", bound=msgspec.Struct)


def _described(**schema: Any) -> Meta:
    """A rule of the ledger's own, which says it in its own words, for whoever reads the description."""
    return Meta(extra_json_schema=schema)


_TRIMMED = r"^\S([\s\S]*\S)?$"
Number = Annotated[int | float, _described(exclusiveMinimum=0)]
Name = Annotated[str, _described(minLength=3, maxLength=255, pattern=_TRIMMED)]
Subject = Annotated[str, _described(minLength=1, maxLength=255, pattern=_TRIMMED)]
Type = Annotated[str, _described(minLength=3, maxLength=25, pattern=_TRIMMED)]
Description = Annotated[str, _described(maxLength=255)]
Scopes = Annotated[
    list[Annotated[str, _described(minLength=1, maxLength=255)]], _described(maxItems=1000, uniqueItems=True)
]

_DETAIL_CHARACTERS = 200


class Create(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's createApiKey."""

    name: Name
    subject: Subject
    type: Type = "api_key"
    description: Description | None = None
    claims: Any = None
    scopes: Scopes = []
    created_by: Subject | None = None
    seconds_until_expiration: Number | None = None


class Update(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's updateApiKey: what is left out stays, null clears."""

    claims: Any = UNSET
    scopes: Scopes | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    subject: Subject | UnsetType = UNSET
    seconds_until_expiration: Number | UnsetType | None = UNSET


class Revoke(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's revokeApiKey."""

    revocation_reason: Annotated[str, _described(maxLength=1024)] | None = None


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clerk's verifyApiKey."""

    secret: str

    def __repr__(self) -> str:
        return "Verify(secret=…)"


class BrowserCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Create in Clerk's Frontend API: who is signed in chooses neither scopes nor claims."""

    name: Name
    subject: Subject | None = None
    type: Type = "api_key"
    description: Description | None = None
    seconds_until_expiration: Number | None = None


class BrowserUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Update in Clerk's Frontend API."""

    description: Description | UnsetType | None = UNSET


def body_of(data: bytes, kind: type[T], *, optional: bool = False) -> T:
    """The body as a struct; an empty one as `{}` where it is optional. Raises Problem."""
    try:
        return msgspec.convert({} if optional and not data.strip() else decode(data), kind)
    except NotJSON as error:
        raise bad_request(f"Invalid body: {error}.", "body") from None
    except msgspec.ValidationError as error:
        # Its message has types and no value, but names an unknown field: somebody may have sent a secret as one.
        raise bad_request(f"Invalid body: {clean(str(error))[:_DETAIL_CHARACTERS]}.", "body") from None
