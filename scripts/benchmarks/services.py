"""What is measured: `plain` as it is, and `verifying` and `guarded`, which open a ledger, as factories."""

import os
from collections.abc import Callable
from typing import Any

from keyledger import KeyLedger
from keyledger.adapters.asgi import APIKeyMiddleware
from keyledger.domain.ids import new_uuid
from scripts.benchmarks.hot import USE, Floor

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
SCOPES = ("read",)
BODY = {"type": "http.response.body", "body": b"well"}


async def plain(_: Any, receive: Any, send: Callable[..., Any]) -> None:  # noqa: ARG001
    """A route that does nothing."""
    await send(START)
    await send(BODY)


def verifying() -> Callable[..., Any]:
    """The same with nothing but `verify` before it: what no middleware can do without."""
    ledger = KeyLedger.open(os.environ["KEYLEDGER_DSN"])

    async def service(scope: Any, receive: Any, send: Callable[..., Any]) -> None:
        bearer = dict(scope["headers"]).get(b"authorization", b"")
        if ledger.verify(bearer[len("Bearer ") :].decode(), scopes=SCOPES).valid:
            await plain(scope, receive, send)

    return service


def guarded() -> APIKeyMiddleware:
    """The same behind the middleware."""
    return APIKeyMiddleware(plain, KeyLedger.open(os.environ["KEYLEDGER_DSN"]), scopes=SCOPES)


def floored() -> Callable[..., Any]:
    """The same with the floor of `hot` before it: SHA-256, a dict and a deque, for this one key."""
    floor = Floor()
    floor.add(os.environ["BENCH_KEY"], new_uuid())

    async def service(scope: Any, receive: Any, send: Callable[..., Any]) -> None:
        bearer = dict(scope["headers"]).get(b"authorization", b"")
        if floor.verify(bearer[len("Bearer ") :].decode(), USE):
            await plain(scope, receive, send)

    return service
