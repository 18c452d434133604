"""What a request says of itself, and whether it is let in for that. It is compiled where that can be done."""

from collections.abc import Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any

from keyledger import APIKey, LedgerClosed, LedgerUnavailable, Use
from keyledger.compiled import prefer_compiled
from keyledger.forwarded import TrustedProxies, plain_address

Headers = Iterable[tuple[bytes, bytes]]
"""A request's header fields, the names in lower case."""

Fields = dict[bytes | None, bytes]
"""The same by name; of one that was given several times the values with commas between them."""

KEY = "keyledger.api_key"
"""Where the key is in an ASGI scope."""

_AGENT = b"user-agent"
_FORWARDED = b"x-forwarded-for"
_REMEMBERED = 1024
_SHORT = 256  # a path, or an agent, of more than this is not remembered


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
        self._authorization = authorization
        self._header = header
        self._request_id = request_id
        self._forwarded = _FORWARDED if proxies else None
        self._proxies = proxies
        self._names = {authorization, header, request_id, self._forwarded, _AGENT} - {None}

    def known(self, headers: Any, peer: str | None, method: str, path: str, wanted: tuple[str, ...]) -> Any:
        """What the ledger's `again` says to a request, or the LedgerUnavailable or LedgerClosed that it raised.

        None where the request has to be taken apart, also because a field that matters was given twice.
        """
        if headers.__class__ is not list:
            return None
        names = self._names
        fields: Fields = {}
        for name, value in headers:
            if name in names:
                if name in fields:
                    return None
                fields[name] = value
        field = fields.get(self._authorization)
        if field is None or self._header in fields:
            return None
        try:
            return self._again(field, wanted, self.use(fields, peer, method, path))
        except (LedgerUnavailable, LedgerClosed) as error:
            return error

    def let_in(self, scope: MutableMapping[str, Any]) -> Any:
        """True for an ASGI scope whose request is let in, and that has the key now; else what is `known` of it."""
        if scope["type"] != "http":
            return None
        client, method = scope.get("client"), scope.get("method")
        if method is None:
            return None
        peer = client[0] if client else None
        found = self.known(scope["headers"], peer, method, scope["path"], self._scopes)
        if found.__class__ is not APIKey:
            return found
        mark(scope, found)
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
        agent = fields.get(_AGENT)
        request_id = None if self._request_id is None else fields.get(self._request_id)
        forwarded = None if self._forwarded is None else fields.get(self._forwarded)
        if forwarded is not None:
            address = self._proxies.client(peer, forwarded.decode("latin-1"))
            return _use(address, agent, method, path, request_id)
        if request_id is None and len(path) <= _SHORT and (agent is None or len(agent) <= _SHORT):
            return _remembered(peer, agent, method, path)
        return _use(plain_address(peer) if peer else None, agent, method, path, request_id)


def mark(scope: MutableMapping[str, Any], api_key: APIKey) -> None:
    """Put the key where an ASGI application finds it."""
    scope[KEY] = api_key
    state = scope.get("state")  # by the specification this request's own
    if state is None:
        scope["state"] = {"api_key": api_key}
    else:
        state["api_key"] = api_key


def _use(address: str | None, agent: bytes | None, method: str, path: str, request_id: bytes | None) -> Use:
    return Use(
        ip_address=address,
        user_agent=agent.decode("latin-1") if agent else None,
        method=method,
        path=path,
        request_id=request_id.decode("latin-1") if request_id else None,
    )


@lru_cache(_REMEMBERED)
def _remembered(peer: str | None, agent: bytes | None, method: str, path: str) -> Use:
    """Requests of one client are alike but for their ids: they share a Use, which is frozen."""
    return _use(plain_address(peer) if peer else None, agent, method, path, None)


prefer_compiled(__name__)
