"""Starlette: a backend for its AuthenticationMiddleware. The plain APIKeyMiddleware fits it as well.

Middleware(AuthenticationMiddleware, backend=APIKeyBackend(ledger), on_error=refused)
"""

from collections.abc import Iterable
from typing import Unpack

from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser
from starlette.requests import HTTPConnection
from starlette.responses import Response

from keyledger import APIKey
from keyledger.adapters import asgi
from keyledger.adapters.guard import Guard, GuardOptions, LedgerSource
from keyledger.adapters.reader import KEY
from keyledger.adapters.refusal import MISSING, Refusal


class KeyRefused(AuthenticationError):
    """The request is not let in; `refusal` is what to answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class KeyUser(BaseUser):
    """Who a key belongs to: `request.user`."""

    def __init__(self, api_key: APIKey) -> None:
        self.api_key = api_key

    @property
    def is_authenticated(self) -> bool:
        """A user with a key always is."""
        return True

    @property
    def display_name(self) -> str:
        """The name of the key."""
        return self.api_key.name

    @property
    def identity(self) -> str:
        """The key's subject, a user or an organization."""
        return self.api_key.subject


class KeyCredentials(AuthCredentials):
    """What a key allows, for Starlette's `@requires`: "authenticated", and scopes by keyledger's own rules."""

    def __init__(self, api_key: APIKey) -> None:
        self.scopes = _Granted(api_key)


class APIKeyBackend(AuthenticationBackend):
    """Authenticates by API key.

    scopes: those that every key must have; `@requires("deploy")` asks for more at one endpoint.
    optional: whether a request without any credential goes on, as an UnauthenticatedUser.
    """

    def __init__(
        self,
        ledger: LedgerSource,
        *,
        scopes: Iterable[str] = (),
        optional: bool = False,
        **options: Unpack[GuardOptions],
    ) -> None:
        self._guard = Guard(ledger, scopes=scopes, **options)
        self._optional = optional

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """The key's credentials and user. Raises KeyRefused."""
        found = await asgi.check(self._guard, conn.scope)
        if isinstance(found, Refusal):
            if self._optional and found.code == MISSING:
                return None
            raise KeyRefused(found)
        conn.scope[KEY] = found
        return KeyCredentials(found), KeyUser(found)


def refused(conn: HTTPConnection, error: Exception) -> Response:  # noqa: ARG001
    """The answer to a refusal: `on_error` of AuthenticationMiddleware, and a handler of exceptions."""
    return response(error.refusal) if isinstance(error, KeyRefused) else Response(str(error), status_code=400)


def response(refusal: Refusal) -> Response:
    """A refusal as a response."""
    return Response(refusal.body, status_code=refusal.status, headers=dict(refusal.headers))


class _Granted(list[str]):
    """The scopes of a key, among which is everything that its patterns cover."""

    def __init__(self, api_key: APIKey) -> None:
        super().__init__(["authenticated", *api_key.scopes])
        self._api_key = api_key

    def __contains__(self, scope: object) -> bool:
        return scope == "authenticated" or (isinstance(scope, str) and self._api_key.allows(scope))
