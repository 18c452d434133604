"""What every request goes through: its id, its limits, its path, the headers of its answer, and the access log."""

import logging
import re
import time
from collections.abc import MutableMapping
from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyledger.domain.use import clean
from keyledger.forwarded import TrustedProxies
from keyledger.http.forms import form_of
from keyledger.http.problems import Problem, bad_request
from keyledger.http.settings import HttpSettings

_log = logging.getLogger("keyledger.http")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SLASHES = re.compile(r"//+")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


class Front:
    """Stands before an application."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self._settings = settings
        self._proxies = TrustedProxies(settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        path = _SLASHES.sub("/", scope["path"])
        form = form_of(path.removeprefix(scope.get("root_path", "")))
        known = {"path": path, "client": self._client(scope), "keyledger.request_id": request_id}
        inner = {**scope, **known, "keyledger.form": form}
        began, status = time.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), *_HEADERS, (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            problem = self._refusal(scope)
            if problem is not None:
                await form(problem, request_id)(inner, receive, sending)
            else:
                await self._app(inner, receive, sending)
        finally:
            if self._settings.access_log:
                _write_log(inner, status, time.monotonic() - began)

    def _client(self, scope: Scope) -> tuple[str, int] | None:
        """Whom a request comes from, as far as that can be believed."""
        peer = scope.get("client")
        lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        address = self._proxies.client(peer and peer[0], b",".join(lines).decode("latin-1"))
        return None if address is None else (address, peer[1] if peer and address == peer[0] else 0)

    def _refusal(self, scope: Scope) -> Problem | None:
        if self._has_long_headers(scope):
            detail = "The headers are too many or too long."
            return Problem(431, "headers_too_large", "Request Header Fields Too Large", detail)
        if _CONTROL.search(scope["path"]):
            return bad_request("Invalid path: it has control characters.", "path")
        return None

    def _has_long_headers(self, scope: Scope) -> bool:
        headers = scope["headers"]
        if len(headers) > self._settings.header_limit_count:
            return True
        url = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        return url + sum(len(name) + len(value) for name, value in headers) > self._settings.header_limit_bytes


def _request_id(scope: MutableMapping[str, Any]) -> str:
    """The one that the request came with, if it is a plain one; it is in the answer, the log and the events."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return clean(value.decode())
    return uuid4().hex


def _write_log(scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
    client = scope.get("client")
    _log.info(
        "%s %s %s %d %.1f ms %s",
        client[0] if client else "-",
        scope["method"],
        clean(scope["path"]).encode("unicode_escape").decode(),
        status,
        seconds * 1000,
        scope["keyledger.request_id"],
    )
