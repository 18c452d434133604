"""The HTTP service as an ASGI application."""

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp

from keyledger.domain.errors import KeyLedgerError
from keyledger.http import openapi
from keyledger.http.callers import Callers
from keyledger.http.forms import Form, clerk
from keyledger.http.front import Front
from keyledger.http.health import Health
from keyledger.http.history_calls import HistoryCalls
from keyledger.http.key_calls import KeyCalls
from keyledger.http.oauth_calls import OAuthCalls
from keyledger.http.problems import Problem, no_id, of_error, of_http
from keyledger.http.settings import HttpSettings
from keyledger.http.wire import Answer
from keyledger.ledger import KeyLedger

_log = logging.getLogger("keyledger.http")


def application(ledger: KeyLedger, *, settings: HttpSettings | None = None) -> ASGIApp:
    """The ASGI application of an open ledger, to be served or mounted; who opened the ledger closes it."""
    settings = settings or HttpSettings()
    callers = Callers(ledger, settings)
    calls: list[BaseRoute] = [*KeyCalls(ledger, callers, settings).routes()]
    versioned = Router([*calls, *HistoryCalls(ledger, callers).routes()], redirect_slashes=False)
    app = Starlette(
        routes=[
            *calls,
            Mount("/v1", app=versioned),
            *OAuthCalls(ledger, callers, settings).routes(),
            *Health(ledger).routes(),
            Route("/openapi.json", _description, methods=["GET"]),
        ],
        exception_handlers={
            Problem: _problem,
            KeyLedgerError: _refused,
            HTTPException: _not_routed,
            Exception: _defect,
        },
    )
    app.router.redirect_slashes = False
    return Front(app, settings)


async def _description(request: Request) -> Response:
    return Answer(openapi.document(request.scope.get("root_path", "")))


def _answer(request: Request, problem: Problem) -> Response:
    form: Form = request.scope["keyledger.form"]
    return form(problem, request.scope["keyledger.request_id"])


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, KeyLedgerError)
    problem = of_error(error)
    if problem.status == 503:
        _log.warning("request %s: %s: %s", request.scope["keyledger.request_id"], type(error).__name__, error)
    return _answer(request, problem)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    is_no_key = error.status_code == 404 and request.scope["keyledger.form"] is clerk
    return _answer(request, no_id() if is_no_key else of_http(error))


async def _defect(request: Request, _: Exception) -> Response:
    return _answer(request, Problem(500, "internal_error", "Internal Server Error", "A defect of keyledger."))
