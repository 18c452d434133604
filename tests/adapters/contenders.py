"""One service in each framework: `/things` answers with the subject of the key that asks for it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any

import httpx
import msgspec
from adapters import django_service
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from fastapi import FastAPI, Security
from flask import Flask, g
from litestar import Litestar, Request, route
from litestar.middleware import DefineMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.datastructures import Headers
from werkzeug.test import Client, EnvironBuilder

from keyledger import APIKey, KeyLedger
from keyledger.adapters import asgi, fastapi, flask, litestar, starlette

Fields = Sequence[tuple[str, str]]
METHODS = ["GET", "POST"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a service answered; the names of header fields are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


Send = Callable[..., Answer]
"""`send(url, headers, method="GET", peer="192.0.2.1")`."""

Contender = Callable[..., AbstractContextManager[Send]]
"""A service with a ledger, the scopes that it asks for, and the options of a guard."""


@contextmanager
def plain_asgi(ledger: KeyLedger, scopes: Sequence[str], **options: Any) -> Iterator[Send]:
    async def service(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["keyledger.api_key"].subject.encode()})

    yield by_asgi(asgi.APIKeyMiddleware(service, ledger, scopes=scopes, **options))


@contextmanager
def by_starlette(ledger: KeyLedger, scopes: Sequence[str], **options: Any) -> Iterator[Send]:
    async def things(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.user.identity)

    backend = starlette.APIKeyBackend(ledger, scopes=scopes, **options)
    middleware = Middleware(AuthenticationMiddleware, backend=backend, on_error=starlette.refused)
    yield by_asgi(Starlette(routes=[Route("/things", things, methods=METHODS)], middleware=[middleware]))


@contextmanager
def by_fastapi(ledger: KeyLedger, scopes: Sequence[str], **options: Any) -> Iterator[Send]:
    auth = fastapi.APIKeyAuth(ledger, **options)
    app = FastAPI(exception_handlers={fastapi.KeyRefused: fastapi.refused})

    @app.api_route("/things", methods=METHODS)
    async def things(key: Annotated[APIKey, Security(auth, scopes=scopes)]) -> Any:
        return PlainTextResponse(key.subject)

    yield by_asgi(app)


@contextmanager
def by_litestar(ledger: KeyLedger, scopes: Sequence[str], **options: Any) -> Iterator[Send]:
    @route("/things", http_method=METHODS, status_code=200, opt={"api_key_scopes": scopes})
    async def things(request: Request[Any, Any, Any]) -> str:
        return str(request.auth.subject)

    yield by_asgi(
        Litestar([things], middleware=[DefineMiddleware(litestar.APIKeyMiddleware, ledger=ledger, **options)])
    )


@contextmanager
def by_flask(ledger: KeyLedger, scopes: Sequence[str], **options: Any) -> Iterator[Send]:
    app = Flask("flask_service")
    flask.KeyLedgerAuth(ledger, app, **options)

    @app.route("/things", methods=METHODS)
    @flask.require_api_key(scopes=scopes)
    def things() -> str:
        return str(g.api_key.subject)

    yield by_wsgi(app)


@contextmanager
def by_async_flask(ledger: KeyLedger, scopes: Sequence[str], **options: Any) -> Iterator[Send]:
    app = Flask("flask_service")
    flask.KeyLedgerAuth(ledger, app, scopes=scopes, **options)

    @app.route("/things", methods=METHODS)
    @flask.require_api_key()
    async def things() -> str:
        return str(g.api_key.subject)

    yield by_wsgi(app)


@contextmanager
def by_django(urls: str, ledger: KeyLedger, scopes: Sequence[str], **options: Any) -> Iterator[Send]:
    """By the middleware, or by what the views of other `urls` have on them."""
    django_service.scopes = tuple(scopes)
    given = {"LEDGER": ledger, **{name.upper(): value for name, value in options.items()}}
    middleware, handler = [], WSGIHandler
    if urls.startswith("middleware"):
        middleware, given["SCOPES"] = ["keyledger.adapters.django.APIKeyMiddleware"], scopes
    with override_settings(MIDDLEWARE=middleware, KEYLEDGER=given, ROOT_URLCONF=django_service.urls(urls)):
        if urls.endswith("async"):
            yield by_asgi(ASGIHandler())
        else:
            yield by_wsgi(handler())


def django_contender(urls: str) -> Contender:
    return lambda ledger, scopes, **options: by_django(urls, ledger, scopes, **options)


CONTENDERS: dict[str, Contender] = {
    "asgi": plain_asgi,
    "starlette": by_starlette,
    "fastapi": by_fastapi,
    "litestar": by_litestar,
    "flask": by_flask,
    "flask, async": by_async_flask,
    "django": django_contender("middleware"),
    "django, async": django_contender("middleware async"),
    "django's decorator": django_contender("decorator"),
    "django's decorator, async": django_contender("decorator async"),
    "drf": django_contender("drf"),
}


def by_asgi(app: Any) -> Send:
    """Requests to an ASGI application."""

    def send(url: str, headers: Fields = (), method: str = "GET", peer: str = "192.0.2.1") -> Answer:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app, client=(peer, 1234), raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                given = [(name.encode(), value.encode("latin-1")) for name, value in headers]
                return await client.request(method, url, headers=given)

        response = asyncio.run(ask())
        return Answer(status=response.status_code, headers=dict(response.headers), body=response.content)

    return send


def by_wsgi(app: Any) -> Send:
    """Requests to a WSGI application; fields that come twice are joined, as servers do."""

    def send(url: str, headers: Fields = (), method: str = "GET", peer: str = "192.0.2.1") -> Answer:
        builder = EnvironBuilder(url, method=method, headers=Headers(headers), environ_base={"REMOTE_ADDR": peer})
        response = Client(app).open(builder)
        found = {name.lower(): value for name, value in response.headers}
        return Answer(status=response.status_code, headers=found, body=response.data)

    return send


def open_socket(
    app: Any, headers: Fields = (), *, denials: bool = True, strict: bool = False
) -> list[dict[str, Any]]:
    """What an ASGI application sends to who opens the web socket `/talk`.

    `denials` says whether the server can answer instead of opening it, and `strict` whether it takes an answer
    only after the application has heard of the connection, as the specification has it.
    """
    sent: list[dict[str, Any]] = []
    events = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}]
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/talk",
        "raw_path": b"/talk",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("192.0.2.1", 1234),
        "server": ("service", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}} if denials else {},
    }

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(message: dict[str, Any]) -> None:
        assert len(events) < 2 or not strict, "not yet"
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent
