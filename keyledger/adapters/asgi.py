"""Middleware for any ASGI application; it needs no framework."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Unpack

from keyledger import APIKey
from keyledger.adapters.exempt import ExemptPaths
from keyledger.adapters.guard import Guard, GuardOptions, LedgerSource
from keyledger.adapters.refusal import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "keyledger.api_key"
DENIAL = "websocket.http.response"
WEBSOCKET = "WEBSOCKET"  # what the opening of a web socket has on record for a method

_POLICY_VIOLATION = 1008


class APIKeyMiddleware:
    """Lets in who has an API key.

    The key is in `scope["keyledger.api_key"]` and in `scope["state"]["api_key"]`, which is Starlette's
    `request.state.api_key`. A web socket is checked when it opens, and not again while it is open. What answers
    the preflight requests of CORS, which bring no key, belongs in front of it.
    """

    def __init__(
        self,
        app: ASGIApp,
        ledger: LedgerSource,
        *,
        scopes: Iterable[str] = (),
        exempt: Iterable[str] = (),
        **options: Unpack[GuardOptions],
    ) -> None:
        """The scopes are needed everywhere; `exempt` are paths open to everybody: `/health`, `/public/*`."""
        self._app = app
        self._guard = Guard(ledger, scopes=scopes, **options)
        self._exempt = ExemptPaths(exempt) or None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] not in {"http", "websocket"} or (
            self._exempt is not None and _own_path(scope) in self._exempt
        ):
            await self._app(scope, receive, send)
            return
        found = _check_at_once(self._guard, scope)
        if not isinstance(found, APIKey):
            found = found if isinstance(found, Refusal) else await found
            if isinstance(found, Refusal):
                await refuse(found, scope, receive, send)
                return
        scope[KEY] = found
        state = scope.get("state")  # by the specification this request's own
        if state is None:
            scope["state"] = {"api_key": found}
        else:
            state["api_key"] = found
        await self._app(scope, receive, send)


async def check(guard: Guard, scope: Scope, scopes: tuple[str, ...] | None = None) -> APIKey | Refusal:
    """What the guard says to a connection: an APIKey or a Refusal."""
    found = _check_at_once(guard, scope, scopes)
    return found if isinstance(found, (APIKey, Refusal)) else await found


def _check_at_once(
    guard: Guard, scope: Scope, scopes: tuple[str, ...] | None = None
) -> APIKey | Refusal | Awaitable[APIKey | Refusal]:
    client = scope.get("client")
    return guard.check_at_once(
        scope["headers"],
        peer=client[0] if client else None,
        method=scope.get("method", WEBSOCKET),
        path=scope["path"],
        scopes=scopes,
    )


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or an opening web socket, with a refusal."""
    begin = "http.response"
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        if DENIAL not in (scope.get("extensions") or ()):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal.code})
            return
        begin = DENIAL
    headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers]
    headers.append((b"content-length", str(len(refusal.body)).encode()))
    await send({"type": f"{begin}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{begin}.body", "body": refusal.body})


def _own_path(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
