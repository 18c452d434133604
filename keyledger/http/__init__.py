"""The HTTP service: Clerk's API for API keys over a ledger. Needs the extra `http`."""

try:
    import starlette as _starlette  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "the HTTP service needs more packages: install keyledger with its extra http"
        ' (in a clone: pip install ".[http]")',
        name="starlette",
    ) from None

from keyledger.http.app import application
from keyledger.http.jwt_sessions import JWTSessions
from keyledger.http.sessions import Authenticator
from keyledger.http.settings import HttpSettings

__all__ = ["Authenticator", "HttpSettings", "JWTSessions", "application"]
