"""What is measured: `granian scripts.benchmarks.services:plain`, and `:guarded`, the same with the middleware."""

import os
from collections.abc import Callable
from typing import Any

from keyledger import KeyLedger
from keyledger.adapters.asgi import APIKeyMiddleware

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"well"}


async def plain(_: Any, receive: Any, send: Callable[..., Any]) -> None:  # noqa: ARG001
    """A route that does nothing."""
    await send(START)
    await send(BODY)


def guarded() -> APIKeyMiddleware:
    """The same behind the middleware, for granian's `--factory`."""
    return APIKeyMiddleware(plain, KeyLedger.open(os.environ["KEYLEDGER_DSN"]), scopes=["read"])
