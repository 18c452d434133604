"""Litestar: `granian --interface asgi examples.litestar_service:app`."""

from typing import Any

from litestar import Litestar, Request, get
from litestar.middleware import DefineMiddleware

from keyledger import APIKey, KeyLedger
from keyledger.adapters.litestar import APIKeyMiddleware


@get("/things", opt={"api_key_scopes": ["things:read"]})
async def things(request: Request[str, APIKey, Any]) -> str:
    return request.auth.subject


@get("/health", exclude_from_auth=True)
async def health() -> str:
    return "well"


ledger = KeyLedger.open()
app = Litestar(
    [things, health],
    middleware=[DefineMiddleware(APIKeyMiddleware, ledger=ledger)],
    on_shutdown=[ledger.aio.close],
)
