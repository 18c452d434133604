"""Django: a middleware for sync and async, and a decorator for views that need scopes.

    MIDDLEWARE = [..., "keyledger.adapters.django.APIKeyMiddleware"]
    KEYLEDGER = {"LEDGER": "service.keys.ledger", "EXEMPT": ["/health"]}

LEDGER is a KeyLedger, a function that returns one, or the dotted path of either. SCOPES are needed everywhere, and
EXEMPT are paths that the middleware leaves open to everybody: "/health", "/public/*". The others are those of
GuardOptions in capitals (HEADER, TRUSTED_PROXIES …). `request.api_key` is the key.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from keyledger import APIKey, InvalidArgument, KeyLedger
from keyledger.adapters.environ import header_fields
from keyledger.adapters.exempt import ExemptPaths
from keyledger.adapters.guard import Guard, GuardOptions, scope_texts
from keyledger.adapters.refusal import Refusal

SETTING = "KEYLEDGER"
_OPTIONS = frozenset(GuardOptions.__annotations__)
_OWN = frozenset({"ledger", "scopes", "exempt"})


class APIKeyMiddleware:
    """Lets in who has an API key; the paths of EXEMPT are open to everybody."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._guard = guard()
        self._exempt = ExemptPaths(configured().get("exempt", ()))
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Pass the request on, or answer it."""
        if self._async:
            return self._acall(request)
        if request.path_info not in self._exempt:
            found = self._guard.check(**asked(request))
            if isinstance(found, Refusal):
                return response(found)
            request.api_key = found
        return self._get_response(request)

    async def _acall(self, request: HttpRequest) -> Any:
        if request.path_info not in self._exempt:
            found = await self._guard.acheck(**asked(request))
            if isinstance(found, Refusal):
                return response(found)
            request.api_key = found
        return await self._get_response(request)


def require_api_key(*, scopes: Iterable[str] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for a view, plain or async, that needs a key with these scopes; instead of the middleware."""
    more = scope_texts(scopes)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        def let_in(request: HttpRequest, found: APIKey | Refusal) -> HttpResponse | None:
            if isinstance(found, Refusal):
                return response(found)
            request.api_key = found
            return None

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = let_in(request, guard().check(**asked(request), scopes=guard().with_scopes(more)))
            return view(request, *args, **kwargs) if refusal is None else refusal

        @wraps(view)
        async def aguarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = let_in(request, await guard().acheck(**asked(request), scopes=guard().with_scopes(more)))
            return await view(request, *args, **kwargs) if refusal is None else refusal

        return aguarded if iscoroutinefunction(view) else guarded

    return decorate


@lru_cache(1)
def guard() -> Guard:
    """The guard that the settings describe. Raises InvalidArgument."""
    given = configured()
    if "ledger" not in given:
        raise InvalidArgument(SETTING, 'a dict with "LEDGER", a KeyLedger or the dotted path of one')
    options: GuardOptions = {name: given[name] for name in _OPTIONS & set(given)}  # type: ignore[assignment]
    return Guard(_ledger, scopes=given.get("scopes", ()), **options)


def configured() -> dict[str, Any]:
    """The setting KEYLEDGER, with the names of Guard's arguments. Raises InvalidArgument."""
    given = getattr(settings, SETTING, None) or {}
    found = {name.lower(): value for name, value in given.items()}
    if unknown := set(found) - _OPTIONS - _OWN:
        allowed = ", ".join(sorted(name.upper() for name in _OPTIONS | _OWN))
        raise InvalidArgument(SETTING, f"a dict with {allowed}; not {', '.join(sorted(map(str.upper, unknown)))}")
    return found


def asked(request: HttpRequest) -> dict[str, Any]:
    """What the guard reads of a request."""
    return {
        "headers": header_fields(request.META),
        "peer": request.META.get("REMOTE_ADDR"),
        "method": request.method,
        "path": request.path,
    }


def response(refusal: Refusal) -> HttpResponse:
    """A refusal as a response."""
    headers = {**dict(refusal.headers), "Content-Length": str(len(refusal.body))}
    return HttpResponse(refusal.body, status=refusal.status, headers=headers)


def _ledger() -> KeyLedger:
    given = configured()["ledger"]
    if isinstance(given, str):
        given = import_string(given)
    ledger: KeyLedger = given() if callable(given) else given
    return ledger


def _forget(*, setting: str, **_: Any) -> None:
    """A test's override_settings holds at once."""
    if setting == SETTING:
        guard.cache_clear()


setting_changed.connect(_forget)
