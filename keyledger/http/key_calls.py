"""Clerk's calls on API keys: from services (Backend API) and from browsers (Frontend API), at the same paths."""

import hashlib
import re
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyledger.aio import AsyncAPIKeys
from keyledger.api_key import APIKey
from keyledger.credentials import READ, VERIFY, WRITE
from keyledger.credentials import SUBJECT as CREDENTIALS
from keyledger.domain.errors import KeyNotFound
from keyledger.http.bodies import BrowserCreate, BrowserUpdate, Create, Revoke, Update, Verify, body_of
from keyledger.http.callers import Caller, Callers
from keyledger.http.page_query import PageQuery
from keyledger.http.problems import Problem, bad_request, no_id, not_found
from keyledger.http.requests import read_body
from keyledger.http.settings import HttpSettings
from keyledger.http.wire import Answer, DeletedObject, KeyPage, key_object
from keyledger.ledger import KeyLedger

Handler = Callable[[Request], Awaitable[Response]]


_OLD_PYTHON = "speakeasy-sdk/python 4."
_OTHER_ID = re.compile(r"api_key_[0-9A-Fa-f]{32}")
"""Clerk's other form of an id, which none of ours has."""

_REFUSALS = {
    "malformed": ("api_key_malformed", "The secret is not an API key's."),
    "not_found": ("api_key_not_found", "No API key has this secret."),
    "revoked": ("api_key_revoked", "The API key has been revoked."),
    "expired": ("api_key_expired", "The API key has expired."),
}


class KeyCalls:
    """The handlers of a ledger."""

    def __init__(self, ledger: KeyLedger, callers: Callers, settings: HttpSettings) -> None:
        self._ledger = ledger
        self._callers = callers
        self._settings = settings

    def routes(self) -> list[Route]:
        """By path and method."""
        return [
            _route("/api_keys", GET=self.list, POST=self.create),
            _route("/api_keys/verify", POST=self.verify),
            _route("/api_keys/{id}", GET=self.get, PATCH=self.update, DELETE=self.delete),
            _route("/api_keys/{id}/secret", GET=self.secret),
            _route("/api_keys/{id}/revoke", POST=self.revoke),
        ]

    async def create(self, request: Request) -> Response:
        """Clerk's createApiKey: 201 with the secret; a repetition of an Idempotency-Key without it."""
        caller, body = await self._callers.caller(request, WRITE), await self._body(request)
        wanted = body_of(body, Create) if caller.is_service else _of_browser(body_of(body, BrowserCreate), caller)
        _check_subject(caller, wanted.subject)
        made = await self._keys(caller).create(
            **msgspec.structs.asdict(wanted), idempotency_key=_idempotency_key(request, caller)
        )
        _check_repeated(caller, made)
        old = (caller.origin.user_agent or "").startswith(_OLD_PYTHON)
        return Answer(key_object(made, secret=made.secret), status_code=200 if old else 201)

    async def list(self, request: Request) -> Response:
        """Clerk's getApiKeys."""
        caller = await self._callers.caller(request, READ)
        query = PageQuery.of(request.scope["query_string"])
        subject = query.subject if caller.is_service else query.subject or caller.actor.subject
        if subject is None:
            raise bad_request("Invalid 'subject': required.", "subject")
        _check_subject(caller, subject)
        page = await self._keys(caller).window(
            **{**msgspec.structs.asdict(query), "subject": subject, "query": query.query or None}
        )
        return Answer(KeyPage(data=[key_object(key) for key in page.data], total_count=page.total_count))

    async def get(self, request: Request) -> Response:
        """Clerk's getApiKey."""
        caller = await self._callers.caller(request, READ)
        return Answer(key_object(await self._key(request, caller)))

    async def update(self, request: Request) -> Response:
        """Clerk's updateApiKey."""
        caller, body = await self._callers.caller(request, WRITE), await self._body(request)
        wanted = body_of(body, Update if caller.is_service else BrowserUpdate)
        changes = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not UNSET}
        if "subject" in changes:
            _check_subject(caller, changes["subject"])
        key = await self._key(request, caller)
        return Answer(key_object(await self._keys(caller).update(key.id, **changes)))

    async def delete(self, request: Request) -> Response:
        """Clerk's deleteApiKey."""
        caller = await self._callers.service(request, WRITE)
        key = await self._key(request, caller)
        await self._keys(caller).delete(key.id)
        return Answer(DeletedObject(id=key.id))

    async def secret(self, request: Request) -> Response:
        """Clerk's getApiKeySecret, which a ledger of digests cannot answer."""
        caller = await self._callers.service(request, READ)
        await self._key(request, caller)
        detail = "A secret is shown once, when its key is created: only its digest is kept."
        raise Problem(404, "secret_not_recoverable", "Secret not recoverable", detail)

    async def revoke(self, request: Request) -> Response:
        """Clerk's revokeApiKey; a second time it answers with the first revocation."""
        caller, body = await self._callers.caller(request, WRITE), await self._body(request)
        wanted = body_of(body, Revoke, optional=True)
        key = await self._key(request, caller)
        revoked = await self._keys(caller).revoke(key.id, revocation_reason=wanted.revocation_reason)
        return Answer(key_object(revoked))

    async def verify(self, request: Request) -> Response:
        """Clerk's verifyApiKey: 404 for every secret that is refused, with a code that says why."""
        caller, body = await self._callers.service(request, VERIFY), await self._body(request)
        wanted = body_of(body, Verify)
        found = await self._ledger.aio.verify(wanted.secret, use=caller.origin.use())
        key = found.api_key
        if found.valid and key is not None and key.subject != CREDENTIALS:
            return Answer(key_object(key))
        self._callers.refuse(found, caller.actor.credential_id)
        is_hidden = key is not None and key.subject == CREDENTIALS
        code, detail = _REFUSALS["not_found" if is_hidden else found.code]
        raise Problem(404, code, "API key refused", detail)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._settings)

    def _keys(self, caller: Caller) -> AsyncAPIKeys:
        return self._ledger.aio.on_behalf_of(caller.actor).api_keys

    async def _key(self, request: Request, caller: Caller) -> APIKey:
        """The key of the path's id, as far as the caller may see it. Raises Problem."""
        try:
            key = await self._ledger.aio.api_keys.get(request.path_params["id"])
        except KeyNotFound as error:
            if isinstance(error, ValueError) and not _OTHER_ID.fullmatch(request.path_params["id"]):
                raise no_id() from None
            raise not_found() from None
        if key.subject == CREDENTIALS or (caller.subjects is not None and key.subject not in caller.subjects):
            raise not_found()
        return key


def _route(path: str, **handlers: Handler) -> Route:
    """One route a path, which takes all methods: 405 names those that there are.

    A route that took some alone would leave the others to the next one, for which `verify` is an id.
    """
    allowed = {"Allow": ", ".join(sorted({*handlers, *(["HEAD"] if "GET" in handlers else [])}))}

    async def handle(request: Request) -> Response:
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            raise HTTPException(405, headers=allowed)
        return await handler(request)

    route = Route(path, handle)
    route.methods = None
    return route


def _of_browser(body: BrowserCreate, caller: Caller) -> Create:
    if body.type != "api_key":
        raise bad_request("Invalid 'type': api_key.", "type")
    subject = body.subject if body.subject is not None else caller.actor.subject
    assert subject is not None
    return Create(**{**msgspec.structs.asdict(body), "subject": subject})


def _check_subject(caller: Caller, subject: str) -> None:
    """Raise Problem where the caller may not speak of this subject's keys."""
    if subject == CREDENTIALS:
        raise bad_request("Invalid 'subject': this one is the service's own.", "subject")
    if caller.subjects is not None and subject not in caller.subjects:
        raise Problem(
            403, "forbidden", "Forbidden", "The subject is neither the user nor the active organization."
        )


def _check_repeated(caller: Caller, made: APIKey) -> None:
    """Raise Problem where a key that was made before has gone to somebody whose keys the caller does not see."""
    is_seen = caller.subjects is None or made.subject in caller.subjects
    if made.secret_already_issued and (made.subject == CREDENTIALS or not is_seen):
        detail = "The key of this Idempotency-Key belongs to another subject now."
        raise Problem(409, "idempotency_conflict", "Conflict", detail)


def _idempotency_key(request: Request, caller: Caller) -> str | None:
    """The caller's own: what another one chose is another."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not 1 <= len(given) <= 255:
        raise bad_request("Invalid 'Idempotency-Key': 1 to 255 characters.", "Idempotency-Key")
    whose = (
        caller.actor.credential_id or f"user:{caller.actor.user_id}"
    )  # whose id may be one that credentials have
    return "http:" + hashlib.sha256(f"{whose}\n{given}".encode()).hexdigest()
