"""Middleware for any ASGI application; it needs no framework."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypedDict, Unpack

from keyledger import APIKey
from keyledger.adapters.exempt import ExemptPaths
from keyledger.adapters.guard import Guard, GuardOptions, LedgerSource
from keyledger.adapters.reader import Door, mark
from keyledger.adapters.refusal import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Question(TypedDict):
    """What a guard is asked besides the header fields."""

    peer: str | None
    method: str
    path: str


DENIAL = "websocket.http.response"
WEBSOCKET = "WEBSOCKET"  # what the opening of a web socket has on record for a method

_CHECKED = frozenset({"http", "websocket"})
_POLICY_VIOLATION = 1008


class APIKeyMiddleware(Door):
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
        self._guard = Guard(ledger, scopes=scopes, **options)
        self._exempt = ExemptPaths(exempt)
        super().__init__(app, self._guard.reader, self._look, self._is_open if self._exempt else None)
        # Servers tell ASGI 3 from what was before it by `__call__` being a coroutine function: so it is, of an
        # instance. A call takes the class's own, which is the door's.
        self.__call__ = self._coroutine_function  # type: ignore[method-assign]

    def _is_open(self, scope: Scope) -> bool:
        return scope["type"] not in _CHECKED or _own_path(scope) in self._exempt

    async def _coroutine_function(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self(scope, receive, send)

    async def _look(self, known: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in _CHECKED:
            await self._app(scope, receive, send)
            return
        found = self._guard.look(known, scope["headers"], **_question(scope))
        if not isinstance(found, (APIKey, Refusal)):
            found = await found
        if isinstance(found, Refusal):
            await refuse(found, scope, receive, send)
            return
        mark(scope, found)
        await self._app(scope, receive, send)


async def check(guard: Guard, scope: Scope, scopes: tuple[str, ...] | None = None) -> APIKey | Refusal:
    """What the guard says to a connection: an APIKey or a Refusal."""
    found = guard.check_at_once(scope["headers"], **_question(scope), scopes=scopes)
    return found if isinstance(found, (APIKey, Refusal)) else await found


def _question(scope: Scope) -> Question:
    client = scope.get("client")
    return {
        "peer": client[0] if client else None,
        "method": scope.get("method", WEBSOCKET),
        "path": scope["path"],
    }


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
