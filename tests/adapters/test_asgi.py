"""The plain ASGI middleware: what passes through it, and web sockets."""

import asyncio
import inspect
from collections import UserDict
from typing import Any

from adapters.conftest import Keys
from adapters.contenders import by_asgi, open_socket
from asgiref.compatibility import is_double_callable
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from keyledger import KeyLedger
from keyledger.adapters.asgi import APIKeyMiddleware


async def subject(request: Any) -> PlainTextResponse:
    return PlainTextResponse(request.state.api_key.subject)


async def well(_: Any) -> PlainTextResponse:
    return PlainTextResponse("well")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.scope["keyledger.api_key"].subject)
    await websocket.close()


def service(ledger: KeyLedger, **options: Any) -> APIKeyMiddleware:
    routes = [Route("/things", subject), Route("/health", well), WebSocketRoute("/talk", talk)]
    return APIKeyMiddleware(Starlette(routes=routes), ledger, **options)


def bearer(secret: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {secret}")]


def test_the_key_is_in_the_request_s_state(shared: KeyLedger, keys: Keys) -> None:
    assert by_asgi(service(shared))("/things", bearer(keys.good)).body == b"org_1"


def test_an_exempt_path_is_open_also_where_the_application_is_mounted(shared: KeyLedger) -> None:
    guarded = service(shared, exempt=["/health"])
    mounted = by_asgi(Starlette(routes=[Mount("/api", guarded)]))

    assert by_asgi(guarded)("/health").body == b"well"
    assert mounted("/api/health").body == b"well"
    assert mounted("/api/things").status == 401


def test_what_is_not_found_is_told_to_nobody_without_a_key(shared: KeyLedger, keys: Keys) -> None:
    send = by_asgi(service(shared))

    assert send("/nothing").status == 401
    assert send("/nothing", bearer(keys.good)).status == 404


def test_a_web_socket_with_a_key_opens_and_is_on_record(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1")

    sent = open_socket(service(shared), bearer(str(key.secret)))

    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[1]["text"] == "org_1"
    (used,) = shared.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries
    assert (used.details["method"], used.details["path"]) == ("WEBSOCKET", "/talk")


def test_a_web_socket_without_one_is_answered_as_a_request_where_the_server_can(shared: KeyLedger) -> None:
    start, body = open_socket(service(shared), strict=True)

    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert dict(start["headers"])[b"www-authenticate"] == b'Bearer realm="api"'
    assert (body["type"], body["body"][:1]) == ("websocket.http.response.body", b"{")


def test_and_closed_where_it_cannot(shared: KeyLedger) -> None:
    assert open_socket(service(shared), denials=False, strict=True) == [
        {"type": "websocket.close", "code": 1008, "reason": "missing"}
    ]


def test_servers_take_it_for_asgi_3(shared: KeyLedger) -> None:
    guarded = service(shared)

    assert inspect.iscoroutinefunction(guarded.__call__)
    assert asyncio.iscoroutinefunction(guarded.__call__)
    assert not is_double_callable(guarded)


def test_it_answers_as_well_where_a_server_calls_what_it_looked_at(shared: KeyLedger, keys: Keys) -> None:
    assert by_asgi(service(shared).__call__)("/things", bearer(keys.good)).body == b"org_1"


def test_a_scope_may_be_a_kind_of_dict_of_the_server_s_own(shared: KeyLedger, keys: Keys) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["keyledger.api_key"].subject)
        seen.append(scope["state"]["api_key"].subject)

    fields = [(b"authorization", f"Bearer {keys.good}".encode())]
    scope = UserDict({"type": "http", "method": "GET", "path": "/", "headers": fields, "client": None})
    asyncio.run(_called(APIKeyMiddleware(app, shared), scope))

    assert seen == ["org_1", "org_1"]


async def _called(guarded: Any, scope: Any) -> None:
    await guarded(scope, None, None)


def test_the_lifespan_passes_through(shared: KeyLedger) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(APIKeyMiddleware(app, shared)({"type": "lifespan"}, None, None))

    assert seen == ["lifespan"]


def test_a_request_s_state_is_made_where_the_server_has_none(shared: KeyLedger, keys: Keys) -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    headers = [(b"authorization", f"Bearer {keys.good}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": None}
    asyncio.run(APIKeyMiddleware(app, shared)(scope, None, None))

    assert scopes[0]["state"]["api_key"] is scopes[0]["keyledger.api_key"]
