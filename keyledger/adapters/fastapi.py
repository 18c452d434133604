"""FastAPI: a dependency that is a security scheme in OpenAPI.

api_key = APIKeyAuth(ledger)
app = FastAPI(exception_handlers={KeyRefused: refused})

@app.get("/things")
async def things(key: Annotated[APIKey, Security(api_key, scopes=["things:read"])]) -> ...
"""

from collections.abc import Iterable
from typing import Unpack

from fastapi import HTTPException
from fastapi.openapi.models import APIKey as APIKeyModel
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.responses import Response

from keyledger import APIKey
from keyledger.adapters import asgi
from keyledger.adapters.guard import Guard, GuardOptions, LedgerSource
from keyledger.adapters.reader import KEY
from keyledger.adapters.refusal import Refusal
from keyledger.adapters.starlette import response


class KeyRefused(HTTPException):
    """The request is not let in; `refusal` is what to answer.

    With `refused` as its handler the answer is application/problem+json; with none, it is FastAPI's own, with the
    same status and headers.
    """

    def __init__(self, refusal: Refusal) -> None:
        headers = {name: value for name, value in refusal.headers if name != "Content-Type"}
        super().__init__(refusal.status, refusal.detail, headers)
        self.refusal = refusal


class APIKeyAuth(SecurityBase):
    """A dependency whose value is the key.

    `Depends(api_key)` asks for the scopes that it was made with, and `Security(api_key, scopes=[…])` for those as
    well, in one verification; where a router and an endpoint ask for different ones, each verifies, and the use is
    recorded twice. It appears in OpenAPI as an HTTP bearer, or with `bearer=False` as a header.
    """

    def __init__(
        self,
        ledger: LedgerSource,
        *,
        scopes: Iterable[str] = (),
        scheme_name: str = "APIKey",
        description: str | None = None,
        **options: Unpack[GuardOptions],
    ) -> None:
        """`scheme_name` and `description` are for OpenAPI."""
        self._guard = Guard(ledger, scopes=scopes, **options)
        self.scheme_name = scheme_name
        self.model = _model(options, description)

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> APIKey:
        """The key of a request or of a web socket. Raises KeyRefused."""
        wanted = self._guard.with_scopes(security_scopes.scopes)
        found = await asgi.check(self._guard, connection.scope, wanted)
        if isinstance(found, Refusal):
            raise KeyRefused(found)
        connection.scope[KEY] = found
        return found


async def refused(connection: HTTPConnection, error: Exception) -> Response:  # noqa: ARG001
    """The handler of KeyRefused that answers as RFC 9457."""
    assert isinstance(error, KeyRefused)
    return response(error.refusal)


def _model(options: GuardOptions, description: str | None) -> SecurityModel:
    header = options.get("header")
    if header is not None and not options.get("bearer", True):
        return APIKeyModel.model_validate({"in": "header", "name": header, "description": description})
    return HTTPBearerModel(bearerFormat="ak_…", description=description)
