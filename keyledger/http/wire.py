"""Keys as Clerk's clients read them."""

import json
from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import Response

from keyledger.api_key import APIKey


class Answer(Response):
    """JSON, of the content type that `@clerk/backend` needs: with a charset it gives its caller the bare text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


def key_object(key: APIKey, *, secret: str | None = None) -> dict[str, Any]:
    """Clerk's API key object; moments are Unix time in milliseconds."""
    found = {
        "object": "api_key",
        "id": key.id,
        "type": key.type,
        "subject": key.subject,
        "name": key.name,
        "description": key.description,
        "claims": msgspec.Raw(json.dumps(key.claims, ensure_ascii=False).encode()),  # with numbers of any size
        "scopes": key.scopes,
        "revoked": key.revoked,
        "revocation_reason": key.revocation_reason,
        "expired": key.expired,
        "expiration": _milliseconds(key.expiration),
        "created_by": key.created_by,
        "last_used_at": _milliseconds(key.last_used_at),
        "created_at": _milliseconds(key.created_at),
        "updated_at": _milliseconds(key.updated_at),
    }
    return found if secret is None else {**found, "secret": secret}


def deleted_object(api_key_id: str) -> dict[str, Any]:
    """Clerk's deleted object."""
    return {"object": "api_key", "id": api_key_id, "deleted": True}


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
