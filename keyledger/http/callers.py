"""Who calls: a service with an `sk_` credential, or a browser with the token of a session."""

import time

import msgspec
from starlette.requests import Request

from keyledger.credentials import is_credential
from keyledger.domain.actor import Actor
from keyledger.domain.secret import CREDENTIAL_PREFIX
from keyledger.http.failure_counts import Failures
from keyledger.http.problems import Problem, bad_request, too_many
from keyledger.http.requests import Origin, origin_of
from keyledger.http.sessions import actor_of, own_subjects
from keyledger.http.settings import HttpSettings
from keyledger.ledger import KeyLedger
from keyledger.verification import Verification

_COOKIE = "__session"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, and from where.

    subjects: whose keys the caller sees; None for a service, which sees everybody's.
    """

    actor: Actor
    origin: Origin
    subjects: tuple[str, ...] | None = None

    @property
    def is_service(self) -> bool:
        """Whether it is a service and not a browser."""
        return self.subjects is None


class Callers:
    """Tells callers by the bearer token (RFC 6750) that they send."""

    def __init__(self, ledger: KeyLedger, settings: HttpSettings) -> None:
        self._ledger = ledger
        self._authenticator = settings.authenticator
        self._failures = Failures(settings.failures_per_minute, settings.failure_sources, time.monotonic)

    async def caller(self, request: Request, scope: str) -> Caller:
        """Who calls, where that is allowed the scope, if it is a service. Raises Problem, LedgerUnavailable."""
        origin = origin_of(request)
        bearer = _bearer(request)
        if bearer and bearer.startswith(CREDENTIAL_PREFIX):
            return await self._of_credential(bearer, origin, scope)
        token = bearer or (self._authenticator and _session_cookie(request))
        if not token:
            raise _missing()
        if self._authenticator is None or token.startswith(CREDENTIAL_PREFIX):  # no cookie holds a credential
            raise self._refused(origin)
        actor = await actor_of(self._authenticator, token)
        if actor is None:
            raise self._refused(origin)
        actor = origin.actor(actor)
        return Caller(actor=actor, origin=origin, subjects=own_subjects(actor))

    async def service(self, request: Request, scope: str) -> Caller:
        """The service that calls, where it is allowed the scope. Raises Problem, LedgerUnavailable."""
        caller = await self.caller(request, scope)
        if not caller.is_service:
            raise Problem(403, "forbidden", "Forbidden", "This call is for services, not for browsers.")
        return caller

    def refuse(self, found: Verification, source: str | None) -> None:
        """Take note of a secret that was refused. Raises Problem (429) where its source has had too many."""
        if found.code == "malformed":  # which costs nothing to refuse, and is no guess
            return
        wait = self._failures.count(source or "")
        if wait is not None:
            raise too_many(wait)

    async def _of_credential(self, token: str, origin: Origin, scope: str) -> Caller:
        found = await self._ledger.aio.verify_credential(token, scopes=(scope,), use=origin.use())
        key = found.api_key
        if key is None or not is_credential(key) or found.code not in ("valid", "insufficient_scope"):
            raise self._refused(origin)
        if not found.valid:
            detail = f"The credential lacks the scope {scope}."
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise Problem(403, "insufficient_scope", "Forbidden", detail, headers={"WWW-Authenticate": challenge})
        return Caller(actor=origin.actor(Actor(credential_id=key.id)), origin=origin)

    def _refused(self, origin: Origin) -> Problem:
        wait = self._failures.count(origin.address or "")
        if wait is not None:
            return too_many(wait)
        wanted = "send an sk_ key that `keyledger credentials create` made"
        if self._authenticator is not None:
            wanted += ", or the token of a session"
        return Problem(
            401,
            "authentication_invalid",
            "Unauthorized",
            f"The bearer token is no valid credential: {wanted}.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )


def _bearer(request: Request) -> str | None:
    """The token; None where there is none. Raises Problem where it would not be clear which is meant."""
    lines = request.headers.getlist("authorization")
    if len(lines) > 1:
        raise bad_request("Invalid 'Authorization': it is there twice.", "Authorization")
    scheme, _, token = (lines or [""])[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _session_cookie(request: Request) -> str | None:
    """The token of Clerk's session cookie, by which alone clerk-js reloads a key.

    Only for what changes nothing: other sites can have a browser send its cookies, but not read the answer.
    """
    if request.method != "GET" or "authorization" in request.headers:
        return None
    cookies = request.cookies
    return cookies.get(_COOKIE) or next(
        (value for name, value in cookies.items() if name.startswith(f"{_COOKIE}_")), None
    )


def _missing() -> Problem:
    return Problem(
        401,
        "authorization_header_missing",
        "Unauthorized",
        "Give a credential: `Authorization: Bearer sk_...`.",
        headers={"WWW-Authenticate": "Bearer"},
    )
