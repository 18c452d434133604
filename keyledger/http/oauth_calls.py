"""OAuth's calls on keys: introspection (RFC 7662), and revocation by whoever holds a key's secret (RFC 7009)."""

import re
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyledger.api_key import APIKey
from keyledger.credentials import SUBJECT as CREDENTIALS
from keyledger.credentials import VERIFY
from keyledger.domain.actor import Actor
from keyledger.domain.errors import KeyNotFound
from keyledger.http.callers import Callers
from keyledger.http.problems import Problem, bad_request
from keyledger.http.query import parameters
from keyledger.http.requests import origin_of, read_body
from keyledger.http.settings import HttpSettings
from keyledger.http.wire import Answer
from keyledger.ledger import KeyLedger

POSSESSION = "keyledger:possession"
"""The user's id of an actor who has shown a key's secret, and nothing else: no id of Clerk's holds a colon."""

FORM = "application/x-www-form-urlencoded"

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_REFRESH = "refresh_token"
_JWT = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*", re.ASCII)


class Introspect(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7662, section 2.1; also of RFC 7009. The hint is not needed: a secret says itself what it is."""

    token: str
    token_type_hint: str | UnsetType = UNSET

    def __repr__(self) -> str:
        return "Introspect(token=…)"


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7662, section 2.2; of a token that is refused no more than that it is not active.

    scope: those of the key's scopes that OAuth can name, with spaces between them. scopes: all of them.
    client_id, jti: the key's id. sub: its subject. iat, exp: Unix time in seconds.
    """

    active: bool
    scope: str | UnsetType = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    jti: str | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    iat: int | UnsetType = UNSET
    exp: int | UnsetType = UNSET


class OAuthCalls:
    """The handlers of a ledger."""

    def __init__(self, ledger: KeyLedger, callers: Callers, settings: HttpSettings) -> None:
        self._ledger = ledger
        self._callers = callers
        self._settings = settings

    def routes(self) -> list[Route]:
        """By path."""
        return [
            Route("/oauth2/introspect", self.introspect, methods=["POST"]),
            Route("/oauth2/revoke", self.revoke, methods=["POST"]),
        ]

    async def introspect(self, request: Request) -> Response:
        """What a token is good for, to a service that may verify."""
        caller = await self._callers.service(request, VERIFY)
        asked = await self._asked(request)
        found = await self._ledger.aio.verify(asked.token, use=caller.origin.use())
        key = found.api_key
        if found.valid and key is not None and key.subject != CREDENTIALS:
            return Answer(_introspection(key))
        self._callers.refuse(found, caller.actor.credential_id)
        return Answer(Introspection(active=False))

    async def revoke(self, request: Request) -> Response:
        """Revoke the key, or the credential, whose secret is shown; 200 also where there is none."""
        asked, origin = await self._asked(request), origin_of(request)
        found = await self._ledger.aio.identify(asked.token, use=origin.use())
        key = found.api_key
        if key is not None:
            holder = origin.actor(Actor(user_id=POSSESSION, credential_id=key.id))
            await self._revoke(key, holder)
        elif found.code == "malformed" and (asked.token_type_hint == _REFRESH or _JWT.fullmatch(asked.token)):
            detail = "Only API keys' secrets can be revoked here, no session tokens and no refresh tokens."
            raise Problem(400, "unsupported_token_type", "Unsupported token type", detail)
        else:
            self._callers.refuse(found, origin.address)
        return Response(status_code=200)

    async def _revoke(self, key: APIKey, holder: Actor) -> None:
        try:
            await self._ledger.aio.on_behalf_of(holder).api_keys.revoke(key.id)
        except KeyNotFound:
            return  # it has been deleted meanwhile, which revokes it too

    async def _asked(self, request: Request) -> Introspect:
        body = await read_body(request, self._settings)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise bad_request(f"The content type of the body must be {FORM}.", "Content-Type")
        given = parameters(body, known=Introspect.__struct_fields__, of="body")
        if not given.get("token"):
            raise bad_request("Invalid 'token': required.", "token")
        return Introspect(**{name: given[name] for name in Introspect.__struct_fields__ if name in given})


def _introspection(key: APIKey) -> Introspection:
    named = [scope for scope in key.scopes if _SCOPE_TOKEN.fullmatch(scope)]
    known: dict[str, Any] = {"exp": int(key.expiration.timestamp())} if key.expiration else {}
    return Introspection(
        active=True,
        scope=" ".join(named),
        scopes=key.scopes,
        client_id=key.id,
        sub=key.subject,
        jti=key.id,
        token_type="Bearer",  # noqa: S106 - a type
        iat=int(key.created_at.timestamp()),
        **known,
    )
