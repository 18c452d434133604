"""Whether a request is let in: the one place where that is decided for every framework."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypedDict

from keyledger import (
    APIKey,
    InvalidArgument,
    KeyLedger,
    LedgerClosed,
    LedgerUnavailable,
    PepperUnavailable,
    Use,
    Verification,
)
from keyledger.adapters.reader import Fields, Headers, Reader
from keyledger.adapters.refusal import AMBIGUOUS, MISSING, UNAVAILABLE, Refusal, Refusals
from keyledger.forwarded import Network, TrustedProxies

LedgerSource = KeyLedger | Callable[[], KeyLedger]
"""A ledger, or what returns it at each request: for services that open it after their routes are made."""

_log = logging.getLogger("keyledger.adapters")

_AUTHORIZATION = b"authorization"
_BEARER = b"bearer "
_TOKEN = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class GuardOptions(TypedDict, total=False):
    """What each adapter takes besides the ledger and the scopes.

    header: a field that keys are also taken from, such as "X-API-Key". By default none.
    bearer: False where `Authorization` belongs to somebody else, and is not looked at.
    trusted_proxies: networks whose X-Forwarded-For is believed, such as "10.0.0.0/8"; "unix" for who connects by
        a Unix socket. By default nobody's.
    request_id_header: where a use's request id is taken from; by default X-Request-ID. None for nowhere.
    realm: the realm of the challenge (RFC 9110, section 11.5), by default "api".
    retry_after_seconds: what is advised where the ledger cannot decide, by default 1.
    """

    header: str | None
    bearer: bool
    trusted_proxies: Iterable[str | Network]
    request_id_header: str | None
    realm: str
    retry_after_seconds: int


class Guard:
    """Takes the key from a request, has it verified, and says whom to let in and what to answer the others.

    A key is taken from `Authorization: Bearer` (RFC 6750, section 2.1) or from the configured field, never from a
    URL. Each use is recorded with the request's address, agent, method, path without its query, and id. What is
    too long for a `Use` is cut by it, with an `…` at the end; nothing is refused for that.
    """

    def __init__(
        self,
        ledger: LedgerSource,
        *,
        scopes: Iterable[str] = (),
        header: str | None = None,
        bearer: bool = True,
        trusted_proxies: Iterable[str | Network] = (),
        request_id_header: str | None = "X-Request-ID",
        realm: str = "api",
        retry_after_seconds: int = 1,
    ) -> None:
        """See GuardOptions; `scopes` are those that each key must have. Raises InvalidArgument."""
        if not isinstance(ledger, KeyLedger) and not callable(ledger):
            raise InvalidArgument("ledger", "a KeyLedger, or a function that returns one")
        self._ledger = ledger if isinstance(ledger, KeyLedger) else None
        self._source = ledger
        self.scopes = scope_texts(scopes)
        if isinstance(ledger, KeyLedger):
            ledger.verify("", scopes=self.scopes)  # asks nobody; raises for scopes that are none
        self._header = _field_name("header", header)
        self._request_id = _field_name("request_id_header", request_id_header)
        if not self._header and not bearer:
            raise InvalidArgument("header", "a field's name, where bearer is False")
        if self._header == _AUTHORIZATION:
            raise InvalidArgument("header", "another field than Authorization, which is what bearer is for")
        if self._request_id is not None and self._request_id in {_AUTHORIZATION, self._header}:
            raise InvalidArgument("request_id_header", "a field that holds no credential")
        self._proxies = TrustedProxies(trusted_proxies)
        self._authorization = _AUTHORIZATION if bearer else None
        self.reader = Reader(
            ledger.aio.again if isinstance(ledger, KeyLedger) else self._again,
            scopes=self.scopes,
            authorization=self._authorization,
            header=self._header,
            request_id=self._request_id,
            proxies=self._proxies,
        )
        ways = (bearer and "Authorization: Bearer KEY", header and f"{header}: KEY")
        self.refusals = Refusals(
            scheme="Bearer" if bearer else "APIKey",
            realm=realm,
            where=" or ".join(way for way in ways if way),
            retry_after_seconds=retry_after_seconds,
        )

    @property
    def ledger(self) -> KeyLedger:
        """The ledger that is asked."""
        return self._source if isinstance(self._source, KeyLedger) else self._source()

    def with_scopes(self, more: Iterable[str]) -> tuple[str, ...]:
        """The guard's own scopes and these, each once."""
        return tuple(dict.fromkeys((*self.scopes, *more))) if more else self.scopes

    def check(
        self, headers: Headers, *, peer: str | None, method: str, path: str, scopes: tuple[str, ...] | None = None
    ) -> APIKey | Refusal:
        """The key that the request came with, or what to answer instead.

        peer: the address of who is connected; None where there is none.
        path: without its query.
        scopes: what this call needs; by default the guard's own.
        Raises InvalidArgument for scopes that are none.
        """
        wanted = self.scopes if scopes is None else scopes
        taken = self._taken_apart(headers, peer, method, path)
        if isinstance(taken, Refusal):
            return taken
        _, secret, use = taken
        try:
            return self._answer((self._ledger or self.ledger).verify(secret, scopes=wanted, use=use), wanted)
        except (LedgerUnavailable, LedgerClosed) as error:
            return self._undecided(error)

    def check_at_once(
        self, headers: Headers, *, peer: str | None, method: str, path: str, scopes: tuple[str, ...] | None = None
    ) -> APIKey | Refusal | Awaitable[APIKey | Refusal]:
        """As `check` where memory tells; else what is to be awaited, which does not hold up the event loop."""
        wanted = self.scopes if scopes is None else scopes
        found = self.reader.known(headers, peer, method, path, wanted)
        if found.__class__ is APIKey:
            return found
        return self.look(found, headers, peer=peer, method=method, path=path, scopes=scopes)

    def look(
        self,
        found: Any,
        headers: Headers,
        *,
        peer: str | None,
        method: str,
        path: str,
        scopes: tuple[str, ...] | None = None,
    ) -> APIKey | Refusal | Awaitable[APIKey | Refusal]:
        """As `check_at_once`, after what the reader found in memory did not let the request in."""
        if isinstance(found, Exception):  # raised again, it would keep what the request holds from being freed
            return self._undecided(found)
        wanted = self.scopes if scopes is None else scopes
        taken = self._taken_apart(headers, peer, method, path)
        if isinstance(taken, Refusal):
            return taken
        fields, secret, use = taken
        try:
            aio = (self._ledger or self.ledger).aio
            if found is None:
                found = aio.verify_at_once(secret, scopes=wanted, use=use)
                if isinstance(found, Verification) and found.valid and self._header not in fields:
                    aio.remember(fields[self._authorization], secret)
            elif not isinstance(found, Verification):
                found = aio.settle(secret, wanted, use, found)
        except (LedgerUnavailable, LedgerClosed) as error:
            return self._undecided(error)
        if isinstance(found, Verification):
            return self._answer(found, wanted)
        return self._awaited(found, wanted)

    async def acheck(
        self, headers: Headers, *, peer: str | None, method: str, path: str, scopes: tuple[str, ...] | None = None
    ) -> APIKey | Refusal:
        """As `check`; from memory at once, and else without holding up the event loop."""
        found = self.check_at_once(headers, peer=peer, method=method, path=path, scopes=scopes)
        return found if isinstance(found, (APIKey, Refusal)) else await found

    def _again(self, field: bytes, wanted: tuple[str, ...], use: Use) -> Any:
        return self.ledger.aio.again(field, wanted, use)

    def _answer(self, found: Verification, wanted: tuple[str, ...]) -> APIKey | Refusal:
        key = found.api_key if found.valid else None
        return self.refusals.of(found.code, wanted) if key is None else key

    async def _awaited(self, coming: Awaitable[Verification], wanted: tuple[str, ...]) -> APIKey | Refusal:
        try:
            return self._answer(await coming, wanted)
        except (LedgerUnavailable, LedgerClosed) as error:
            return self._undecided(error)

    def _undecided(self, error: Exception) -> Refusal:
        """503. A pepper that is missing, which no other try brings, is for the log and not for who calls."""
        if isinstance(error, PepperUnavailable):
            _log.warning("%s", error)
        return self.refusals.of(UNAVAILABLE)

    def _taken_apart(
        self, headers: Headers, peer: str | None, method: str, path: str
    ) -> tuple[Fields, str, Use] | Refusal:
        """The fields, the secret and the use; or the refusal where there is not exactly one secret."""
        fields = self.reader.fields(headers)
        secret = self._secret(fields)
        return (
            secret
            if isinstance(secret, Refusal)
            else (fields, secret, self.reader.use(fields, peer, method, path))
        )

    def _secret(self, fields: Fields) -> str | Refusal:
        """The secret, or the refusal where there is not exactly one."""
        get = fields.get
        secret, bearer = get(self._header), get(self._authorization)
        if bearer is not None and bearer[: len(_BEARER)].lower() == _BEARER:
            if secret is not None:
                return self.refusals.of(AMBIGUOUS)
            secret = bearer[len(_BEARER) :].strip(b" \t")
        if secret is None:
            return self.refusals.of(MISSING)
        if b"," in secret:  # a field that was given twice, as WSGI joins it; no key has a comma
            return self.refusals.of(AMBIGUOUS)
        return secret.decode("latin-1")


def scope_texts(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes as they are asked for. Raises InvalidArgument for one text, which is no list of its letters."""
    if isinstance(scopes, (str, bytes)) or not isinstance(scopes, Iterable):
        raise InvalidArgument("scopes", f"a list of texts, not one {type(scopes).__name__}")
    return tuple(scopes)


def _field_name(param: str, name: str | None) -> bytes | None:
    if name is None:
        return None
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise InvalidArgument(param, "the name of a header field, or None")
    return name.lower().encode()
