"""Flask: an extension, and a decorator for views.

KeyLedgerAuth(ledger, app)

@app.get("/things")
@require_api_key(scopes=["things:read"])
def things(): g.api_key is the APIKey
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Unpack

from flask import Flask, Response, current_app, g, request

from keyledger import InvalidArgument
from keyledger.adapters.environ import header_fields
from keyledger.adapters.guard import Guard, GuardOptions, LedgerSource, scope_texts
from keyledger.adapters.refusal import Refusal

View = Callable[..., Any]

EXTENSION = "keyledger"


class KeyLedgerAuth:
    """The extension that `require_api_key` asks. `scopes` are needed by each view that has the decorator."""

    def __init__(
        self,
        ledger: LedgerSource,
        app: Flask | None = None,
        *,
        scopes: Iterable[str] = (),
        **options: Unpack[GuardOptions],
    ) -> None:
        self._guard = Guard(ledger, scopes=scopes, **options)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Have an application's views ask this."""
        app.extensions[EXTENSION] = self

    def check(self, scopes: tuple[str, ...] = ()) -> Response | None:
        """Set `g.api_key`, or return what to answer."""
        found = self._guard.check(
            header_fields(request.environ),
            peer=request.remote_addr,
            method=request.method,
            path=request.root_path + request.path,
            scopes=self._guard.with_scopes(scopes),
        )
        if isinstance(found, Refusal):
            return Response(found.body, found.status, list(found.headers))
        g.api_key = found
        return None


def require_api_key(*, scopes: Iterable[str] = ()) -> Callable[[View], View]:
    """A decorator, below the route's, for a view that needs a key with these scopes; plain or async.

    For all views of an application or a blueprint: `app.before_request(require_api_key()(lambda: None))`.
    """
    wanted = scope_texts(scopes)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            auth = current_app.extensions.get(EXTENSION)
            if not isinstance(auth, KeyLedgerAuth):
                raise InvalidArgument("app", "an application with KeyLedgerAuth(ledger, app)")
            refusal = auth.check(wanted)
            return current_app.ensure_sync(view)(*args, **kwargs) if refusal is None else refusal

        return guarded

    return decorate
