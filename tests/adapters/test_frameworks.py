"""What is peculiar to a framework."""

from types import ModuleType
from typing import Annotated, Any

import pytest
from adapters import django_service
from adapters.conftest import Keys
from adapters.contenders import by_asgi, by_wsgi, open_socket
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import path
from fastapi import Depends, FastAPI, Security, WebSocket
from flask import Flask, g
from litestar import Litestar, get, websocket
from litestar import WebSocket as LitestarSocket
from litestar.middleware import DefineMiddleware
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from keyledger import APIKey, InvalidArgument, KeyLedger
from keyledger.adapters import fastapi, flask, litestar, starlette
from keyledger.adapters.django import guard
from keyledger.adapters.drf import APIKeyAuthentication


def bearer(secret: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {secret}")]


def by_requires(ledger: KeyLedger, **options: Any) -> Any:
    """A Starlette service whose endpoints say themselves what they need."""

    @requires("things:read")
    async def things(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.user.display_name)

    async def whoever(request: Any) -> PlainTextResponse:
        return PlainTextResponse(str(request.user.is_authenticated))

    backend = starlette.APIKeyBackend(ledger, **options)
    middleware = Middleware(AuthenticationMiddleware, backend=backend, on_error=starlette.refused)
    return by_asgi(
        Starlette(routes=[Route("/things", things), Route("/whoever", whoever)], middleware=[middleware])
    )


def test_starlette_s_requires_goes_by_the_patterns_of_a_key(shared: KeyLedger, keys: Keys) -> None:
    send = by_requires(shared)

    assert send("/things", bearer(keys.wide)).body == b"a key"
    assert send("/things", bearer(keys.narrow)).status == 403


def test_starlette_s_optional_backend_lets_in_who_sends_nothing_and_nobody_else(
    shared: KeyLedger, keys: Keys
) -> None:
    send = by_requires(shared, optional=True)

    assert send("/whoever").body == b"False"
    assert send("/whoever", bearer(keys.good)).body == b"True"
    assert send("/things").status == 403
    assert send("/whoever", bearer(keys.revoked)).status == 401


def test_fastapi_s_dependency_is_a_security_scheme_in_openapi(shared: KeyLedger) -> None:
    app, auth = FastAPI(), fastapi.APIKeyAuth(shared, description="Ask for one at the desk")
    header = fastapi.APIKeyAuth(shared, header="X-API-Key", bearer=False, scheme_name="Header")

    @app.get("/things")
    async def things(key: Annotated[APIKey, Security(auth, scopes=["things:read"])]) -> str:
        return key.subject

    @app.get("/others")
    async def others(key: Annotated[APIKey, Depends(header)]) -> str:
        return key.subject

    document = app.openapi()

    assert document["components"]["securitySchemes"] == {
        "APIKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "ak_…",
            "description": "Ask for one at the desk",
        },
        "Header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    assert document["paths"]["/things"]["get"]["security"] == [{"APIKey": ["things:read"]}]
    assert document["paths"]["/things"]["get"].get("parameters", []) == []


def test_fastapi_asks_for_the_scopes_of_all_that_need_the_key_in_one_verification(
    shared: KeyLedger, keys: Keys
) -> None:
    app, auth = FastAPI(), fastapi.APIKeyAuth(shared, scopes=["things:read"])

    def inner(key: Annotated[APIKey, Security(auth, scopes=["things:write"])]) -> APIKey:
        return key

    @app.get("/things")
    async def things(key: Annotated[APIKey, Security(inner, scopes=["things:list"])]) -> str:
        return key.subject

    send = by_asgi(app)

    assert send("/things", bearer(keys.wide)).status == 200
    challenge = send("/things", bearer(keys.good)).headers["www-authenticate"]
    assert challenge.endswith('scope="things:read things:list things:write"')


def test_fastapi_answers_by_itself_where_no_handler_is_installed(shared: KeyLedger, keys: Keys) -> None:
    app, auth = FastAPI(), fastapi.APIKeyAuth(shared)

    @app.get("/things")
    async def things(_: Annotated[APIKey, Depends(auth)]) -> str:
        return "never"

    answer = by_asgi(app)("/things", bearer(keys.revoked))

    assert (answer.status, answer.body) == (401, b'{"detail":"The API key has been revoked"}')
    assert answer.headers["www-authenticate"].startswith('Bearer realm="api", error="invalid_token"')


def test_fastapi_s_dependency_guards_web_sockets(shared: KeyLedger, keys: Keys) -> None:
    app = FastAPI(exception_handlers={fastapi.KeyRefused: fastapi.refused})
    auth = fastapi.APIKeyAuth(shared)

    @app.websocket("/talk")
    async def talk(websocket: WebSocket, key: Annotated[APIKey, Depends(auth)]) -> None:
        await websocket.accept()
        await websocket.send_text(key.subject)
        await websocket.close()

    assert open_socket(app, bearer(keys.good))[1]["text"] == "org_1"
    assert open_socket(app)[0]["status"] == 401


def test_litestar_leaves_open_what_a_handler_or_a_pattern_exempts(shared: KeyLedger) -> None:
    @get("/health", exclude_from_auth=True)
    async def health() -> str:
        return "well"

    @get("/public/a")
    async def public() -> str:
        return "a"

    @get("/things")
    async def things() -> str:
        return "never"

    middleware = DefineMiddleware(litestar.APIKeyMiddleware, ledger=shared, exclude=["^/public/"])
    send = by_asgi(Litestar([health, public, things], middleware=[middleware]))

    assert [send(path).status for path in ("/health", "/public/a", "/things")] == [200, 200, 401]


def test_litestar_s_middleware_guards_web_sockets(shared: KeyLedger, keys: Keys) -> None:
    @websocket("/talk")
    async def talk(socket: LitestarSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_text(socket.auth.subject)
        await socket.close()

    app = Litestar([talk], middleware=[DefineMiddleware(litestar.APIKeyMiddleware, ledger=shared)])

    assert open_socket(app, bearer(keys.good))[1]["text"] == "org_1"
    assert open_socket(app)[0]["status"] == 401


def test_flask_s_decorator_guards_all_views_before_each_request(shared: KeyLedger, keys: Keys) -> None:
    app = Flask("flask_service")
    flask.KeyLedgerAuth(shared).init_app(app)
    app.before_request(flask.require_api_key()(lambda: None))
    app.get("/things")(lambda: g.api_key.subject)
    send = by_wsgi(app)

    assert send("/things", bearer(keys.good)).body == b"org_1"
    assert send("/things").status == 401


def test_flask_s_decorator_without_the_extension_lets_nobody_in(keys: Keys) -> None:
    app = Flask("flask_service")
    app.testing = True
    app.get("/things")(flask.require_api_key()(lambda: "never"))

    with pytest.raises(InvalidArgument, match="KeyLedgerAuth"):
        by_wsgi(app)("/things", bearer(keys.good))


def django_settings(**given: Any) -> Any:
    middleware = ["keyledger.adapters.django.APIKeyMiddleware"]
    return override_settings(
        MIDDLEWARE=middleware, KEYLEDGER=given, ROOT_URLCONF=django_service.urls("middleware")
    )


def test_django_finds_the_ledger_by_its_path_and_leaves_exempt_paths_open(
    shared: KeyLedger, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_service, "open_ledger", lambda: shared, raising=False)

    with django_settings(LEDGER="adapters.django_service.open_ledger", EXEMPT=["/health"]):
        send = by_wsgi(WSGIHandler())
        assert send("/health").body == b"well"
        assert send("/things").status == 401
        assert send("/things", bearer(keys.good)).body == b"org_1"


@pytest.mark.parametrize(
    ("given", "allowed"),
    [({}, "LEDGER"), ({"LEDGER": "a.b", "TRUSTED_PROXYS": []}, "TRUSTED_PROXIES.*; not TRUSTED_PROXYS")],
    ids=["no ledger", "an unknown name"],
)
def test_django_s_settings_are_checked(given: dict[str, Any], allowed: str) -> None:
    with override_settings(KEYLEDGER=given), pytest.raises(InvalidArgument, match=allowed):
        guard()


def test_the_rest_framework_s_permission_asks_for_the_scopes_where_another_class_let_the_key_in(
    shared: KeyLedger, keys: Keys
) -> None:
    class ByKey(APIKeyAuthentication):
        """One that knows nothing of the view's scopes."""

        def authenticate(self, request: Any) -> Any:
            found = shared.verify(request.META["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
            return AnonymousUser(), found.api_key

    urls = ModuleType("urls")
    view = django_service.Things.as_view(authentication_classes=(ByKey,))
    urls.__dict__["urlpatterns"] = [path("things", view)]
    django_service.scopes = ("things:read",)
    with override_settings(KEYLEDGER={"LEDGER": shared}, ROOT_URLCONF=urls, MIDDLEWARE=[]):
        send = by_wsgi(WSGIHandler())
        statuses = [send("/things", bearer(each)).status for each in (keys.good, keys.wide, keys.narrow)]

    assert statuses == [200, 200, 403]


def test_the_rest_framework_answers_by_itself_where_no_handler_is_installed(shared: KeyLedger, keys: Keys) -> None:
    urls = django_service.urls("drf")
    django_service.scopes = ("things:read",)
    with override_settings(KEYLEDGER={"LEDGER": shared}, ROOT_URLCONF=urls, MIDDLEWARE=[], REST_FRAMEWORK={}):
        send = by_wsgi(WSGIHandler())
        revoked, missing, narrow = (
            send("/things", bearer(keys.revoked)),
            send("/things"),
            send("/things", bearer(keys.narrow)),
        )

    assert (revoked.status, revoked.body) == (401, b'{"detail":"The API key has been revoked"}')
    assert revoked.headers["www-authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert (missing.status, missing.headers["www-authenticate"]) == (401, 'Bearer realm="api"')
    assert (narrow.status, narrow.headers["www-authenticate"][-19:]) == (403, 'scope="things:read"')
