"""Litestar: a middleware of its own kind, with scopes in a handler's `opt`.

Litestar(route_handlers=[…], middleware=[DefineMiddleware(APIKeyMiddleware, ledger=ledger)])

@get("/things", opt={"api_key_scopes": ["things:read"]})
async def things(request: Request) -> …: request.auth is the APIKey
@get("/health", exclude_from_auth=True)
"""

from collections.abc import Iterable
from typing import Any, Unpack

from litestar.connection import ASGIConnection
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp, Receive, Scope, Send

from keyledger.adapters import asgi
from keyledger.adapters.guard import Guard, GuardOptions, LedgerSource, scope_texts
from keyledger.adapters.reader import KEY
from keyledger.adapters.refusal import Refusal

SCOPES = "api_key_scopes"


class APIKeyMiddleware(AbstractAuthenticationMiddleware):
    """Lets in who has an API key: `request.auth` is the key, `request.user` its subject.

    `exclude` are patterns of paths that are open to everybody, as Litestar has them; so is a handler with
    `exclude_from_auth=True`, and OPTIONS, as in all of Litestar's own. The scopes of a handler's
    `opt["api_key_scopes"]` are needed besides the middleware's.
    """

    def __init__(
        self,
        app: ASGIApp,
        ledger: LedgerSource,
        *,
        scopes: Iterable[str] = (),
        exclude: str | list[str] | None = None,
        **options: Unpack[GuardOptions],
    ) -> None:
        super().__init__(app, exclude)
        self._guard = Guard(ledger, scopes=scopes, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        try:
            await super().__call__(scope, receive, send)
        except _Refused as refused:
            await asgi.refuse(refused.refusal, scope, receive, send)  # type: ignore[arg-type]

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """The key and its subject."""
        more = scope_texts(connection.route_handler.opt.get(SCOPES, ()))
        wanted = self._guard.with_scopes(more)
        found = await asgi.check(self._guard, connection.scope, wanted)  # type: ignore[arg-type]
        if isinstance(found, Refusal):
            raise _Refused(found)
        connection.scope[KEY] = found  # type: ignore[literal-required]
        return AuthenticationResult(user=found.subject, auth=found)


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
