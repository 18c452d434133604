"""What a request says of itself, and whether it is let in for that. It is compiled where that can be done."""

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from keyledger import APIKey, LedgerClosed, LedgerUnavailable, Use
from keyledger.compiled import prefer_compiled
from keyledger.forwarded import TrustedProxies, plain_address

App = Callable[[Any, Any, Any], Any]
"""An ASGI application."""

Headers = Iterable[tuple[bytes, bytes]]
"""A request's header fields, the names in lower case."""

Fields = dict[bytes | None, bytes]
"""The same by name; of one that was given several times the values with commas between them."""

KEY = "keyledger.api_key"
"""Where the key is in an ASGI scope."""

_AGENT = b"user-agent"
_FORWARDED = b"x-forwarded-for"
_ALIKE = 1024  # a power of two
_SHORT = 256  # a path, or an agent, of more than this is not remembered


class Alike:
    """Requests of one client that are alike and have no ids: they share a Use, which is frozen."""

    def __init__(self, peer: str | None, agent: bytes | None, method: str, path: str, use: Use) -> None:
        self.peer = peer
        self.agent = agent
        self.method = method
        self.path = path
        self.use = use

    def is_of(self, peer: str | None, agent: bytes | None, method: str, path: str) -> bool:
        """Whether a request is one of them."""
        return path == self.path and peer == self.peer and method == self.method and agent == self.agent


class Reader:
    """Knows which fields of a request matter, by their names. One that its guard has no use for is None."""

    def __init__(
        self,
        again: Callable[[bytes, tuple[str, ...], Use], Any],
        *,
        scopes: tuple[str, ...],
        authorization: bytes | None,
        header: bytes | None,
        request_id: bytes | None,
        proxies: TrustedProxies,
    ) -> None:
        """`again` is the ledger's, the scopes are the guard's; X-Forwarded-For is believed of `proxies` alone."""
        self._again = again
        self._scopes = scopes
        self._agent = _AGENT
        self._authorization = authorization
        self._header = header
        self._request_id = request_id
        self._forwarded = _FORWARDED if proxies else None
        names = (authorization, header, request_id, self._forwarded, _AGENT)
        given = [name for name in names if name is not None]
        self._shares_names = len(set(given)) < len(given)  # a field that is two things is not known by its name
        self._proxies = proxies
        self._latest = Alike(None, None, "", "", _use_of(None, None, "", "", None))
        self._alike = [self._latest] * _ALIKE
        self._last = _ALIKE - 1

    def known(  # noqa: C901 - name by name, as every request comes by here: a dict takes longer
        self, headers: Any, peer: str | None, method: str, path: str, wanted: tuple[str, ...]
    ) -> Any:
        """What the ledger's `again` says to a request, or the LedgerUnavailable or LedgerClosed that it raised.

        None where the request has to be taken apart, also because a field that matters was given twice.
        """
        if type(headers) is not list or self._shares_names:
            return None
        listed: list[tuple[bytes, bytes]] = headers
        field = agent = request_id = forwarded = None
        for name, value in listed:
            if name == self._authorization:
                if field is not None:
                    return None
                field = value
            elif name == self._agent:
                if agent is not None:
                    return None
                agent = value
            elif self._request_id is not None and name == self._request_id:
                if request_id is not None:
                    return None
                request_id = value
            elif self._forwarded is not None and name == self._forwarded:
                if forwarded is not None:
                    return None
                forwarded = value
            elif self._header is not None and name == self._header:
                return None
        if field is None:
            return None
        try:
            return self._again(field, wanted, self._use(peer, agent, method, path, request_id, forwarded))
        except (LedgerUnavailable, LedgerClosed) as error:
            return error.with_traceback(None)  # its frames lead to who gets it, in a circle

    def let_in(self, scope: MutableMapping[str, Any]) -> Any:
        """True for an ASGI scope whose request is let in, and that has the key now; else what is `known` of it."""
        if type(scope) is not dict:
            return None
        request: dict[str, Any] = scope
        if request["type"] != "http":
            return None
        client, method = request.get("client"), request.get("method")
        if method is None:
            return None
        peer = client[0] if client else None
        found = self.known(request["headers"], peer, method, request["path"], self._scopes)
        if type(found) is not APIKey:
            return found
        mark(request, found)
        return True

    def fields(self, headers: Headers) -> Fields:
        """The fields by name."""
        listed = headers if isinstance(headers, list) else list(headers)
        fields: Fields = dict(listed)
        if len(fields) < len(listed):
            fields.clear()
            for name, value in listed:
                fields[name] = fields[name] + b"," + value if name in fields else value
        return fields

    def use(self, fields: Fields, peer: str | None, method: str, path: str) -> Use:
        """What is recorded of the request."""
        request_id = None if self._request_id is None else fields.get(self._request_id)
        forwarded = None if self._forwarded is None else fields.get(self._forwarded)
        return self._use(peer, fields.get(_AGENT), method, path, request_id, forwarded)

    def _use(
        self,
        peer: str | None,
        agent: bytes | None,
        method: str,
        path: str,
        request_id: bytes | None,
        forwarded: bytes | None,
    ) -> Use:
        if forwarded is not None:
            address = self._proxies.client(peer, forwarded.decode("latin-1"))
            return _use_of(address, agent, method, path, request_id)
        if request_id is None:
            return self._shared(peer, agent, method, path)
        return _use_of(plain_address(peer) if peer else None, agent, method, path, request_id)

    def _shared(self, peer: str | None, agent: bytes | None, method: str, path: str) -> Use:
        alike = self._latest
        if alike.is_of(peer, agent, method, path):
            return alike.use
        place = (hash(peer) ^ hash(agent) ^ hash(path)) & self._last
        alike = self._alike[place]
        if not alike.is_of(peer, agent, method, path):
            use = _use_of(plain_address(peer) if peer else None, agent, method, path, None)
            if not _may_be_remembered(peer, agent, method, path):
                return use
            alike = self._alike[place] = Alike(peer, agent, method, path, use)
        self._latest = alike
        return alike.use


def _may_be_remembered(peer: object, agent: object, method: object, path: object) -> bool:
    """Whether they are texts and bytes, as servers give them, and short."""
    return (
        type(method) is str
        and (type(path) is str and len(path) <= _SHORT)
        and (peer is None or type(peer) is str)
        and (agent is None or (type(agent) is bytes and len(agent) <= _SHORT))
    )


class Door:
    """Where ASGI connections come in: a known request passes at once, of the others `look` takes care.

    `is_open` says which ones pass without a look.
    """

    def __init__(
        self, app: App, reader: Reader, look: Callable[..., Any], is_open: Callable[[Any], bool] | None = None
    ) -> None:
        self._app = app
        self._reader = reader
        self._look = look
        self._is_open = is_open

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Pass the connection on, or answer it; without a coroutine for it, which would be one more a request."""
        if self._is_open is not None and self._is_open(scope):
            return self._app(scope, receive, send)
        known = self._reader.let_in(scope)
        if known is True:
            return self._app(scope, receive, send)
        return self._look(known, scope, receive, send)


def mark(scope: MutableMapping[str, Any], api_key: APIKey) -> None:
    """Put the key where an ASGI application finds it."""
    scope[KEY] = api_key
    state = scope.get("state")  # by the specification this request's own
    if state is None:
        scope["state"] = {"api_key": api_key}
    else:
        state["api_key"] = api_key


def _use_of(address: str | None, agent: bytes | None, method: str, path: str, request_id: bytes | None) -> Use:
    return Use(
        ip_address=address,
        user_agent=agent.decode("latin-1") if agent else None,
        method=method,
        path=path,
        request_id=request_id.decode("latin-1") if request_id else None,
    )


prefer_compiled(__name__)
