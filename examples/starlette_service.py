"""Starlette: `granian --interface asgi examples.starlette_service:app`."""

from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from keyledger import KeyLedger
from keyledger.adapters.starlette import APIKeyBackend, refused

ledger = KeyLedger.open()
keys = Middleware(
    AuthenticationMiddleware, backend=APIKeyBackend(ledger, scopes=["things:read"]), on_error=refused
)


@asynccontextmanager
async def lifespan(_):
    yield
    await ledger.aio.close()


@requires("things:read")  # asked of the key at hand; the backend's scopes are part of its verification
async def things(request):
    return PlainTextResponse(request.user.identity)


async def health(_):
    return PlainTextResponse("well")


app = Starlette(
    routes=[Route("/health", health), Mount("/", routes=[Route("/things", things)], middleware=[keys])],
    lifespan=lifespan,
)
