"""A request as the service sees it: where it comes from, and what its body says."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from keyledger.domain.actor import Actor
from keyledger.domain.use import Use, clean
from keyledger.http.problems import Problem
from keyledger.http.settings import HttpSettings

ADDRESS_CHARACTERS, AGENT_CHARACTERS = 64, 512
_LENGTH_DIGITS = 18


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request comes from, as it is recorded."""

    request_id: str
    address: str | None
    user_agent: str | None
    method: str
    path: str

    def use(self) -> Use:
        """For the record of a verification."""
        return Use(
            ip_address=self.address,
            user_agent=self.user_agent,
            method=self.method,
            path=self.path,
            request_id=self.request_id,
        )

    def actor(self, actor: Actor) -> Actor:
        """The actor, with where he is."""
        return msgspec.structs.replace(actor, ip_address=self.address, request_id=self.request_id)


def origin_of(request: Request) -> Origin:
    """Where a request comes from; its id is the one that it was given on its way in."""
    agent = request.headers.get("user-agent")
    return Origin(
        request_id=request.scope["keyledger.request_id"],
        address=request.client.host[:ADDRESS_CHARACTERS] if request.client else None,
        user_agent=None if agent is None else clean(agent[:AGENT_CHARACTERS]),
        method=request.method,
        path=clean(request.scope["path"]),
    )


async def read_body(request: Request, settings: HttpSettings) -> bytes:
    """The body. Raises Problem for one that is too long (413), too slow (408) or compressed (415)."""
    limit_bytes = settings.body_limit_bytes
    if _is_longer(request.headers.get("content-length", "0"), limit_bytes):
        raise _too_long(limit_bytes)
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise _compressed()
    try:
        async with asyncio.timeout(settings.body_timeout_seconds):
            return await _received(request, limit_bytes)
    except TimeoutError:
        raise Problem(408, "request_timeout", "Request Timeout", "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise Problem(400, "bad_request", "Bad Request", "The body is not complete.") from None


async def _received(request: Request, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    count = 0
    async for part in request.stream():
        count += len(part)
        if count > limit_bytes:
            raise _too_long(limit_bytes)
        parts.append(part)
    return b"".join(parts)


def _is_longer(length: str, limit_bytes: int) -> bool:
    """Whether that is a number above the limit; Python reads none of thousands of digits, not even of zeros."""
    digits = length.lstrip("0")
    return digits.isdecimal() and (len(digits) > _LENGTH_DIGITS or int(digits) > limit_bytes)


def _compressed() -> Problem:
    detail = "A body is taken as it is, with no Content-Encoding."
    headers = {"Accept-Encoding": "identity"}  # RFC 9110, section 15.5.16
    return Problem(415, "unsupported_media_type", "Unsupported Media Type", detail, headers=headers)


def _too_long(limit_bytes: int) -> Problem:
    detail = f"A body has at most {limit_bytes} bytes."
    # What is left of the body is not read: the connection cannot be used again.
    headers: dict[str, Any] = {"Connection": "close"}
    return Problem(413, "request_entity_too_large", "Content Too Large", detail, headers=headers)
