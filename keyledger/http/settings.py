"""Every knob of the HTTP service, typed, with its unit in its name."""

import msgspec

from keyledger.domain import arguments
from keyledger.domain.errors import InvalidArgument
from keyledger.forwarded import TrustedProxies
from keyledger.http.sessions import Authenticator

_COUNTS = ("body_limit_bytes", "header_limit_bytes", "header_limit_count", "failure_sources")


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the HTTP service behaves.

    authenticator: who knows browser sessions by their tokens; None to serve no browsers.
    body_limit_bytes: a longer body is refused (413). header_limit_bytes, header_limit_count: so are more headers
        (431).
    body_timeout_seconds: how long a body may take to arrive (408).
    failures_per_minute: so many wrong credentials and refused secrets of one source are answered as they are
        within a minute, the next ones with 429; 0 for no limit. What is right is accepted all the same.
    failure_sources: of so many sources at most that is counted; the one whose last failure is the oldest is
        forgotten first.
    trusted_proxies: networks and addresses of the proxies whose X-Forwarded-For is believed, as
        keyledger.forwarded.TrustedProxies takes them; with none, a request comes from who is connected.
    access_log: whether each request is logged, by the logger `keyledger.http`: never a query, a header or a body.
    """

    authenticator: Authenticator | None = None
    body_limit_bytes: int = 65_536
    header_limit_bytes: int = 32_768
    header_limit_count: int = 100
    body_timeout_seconds: float = 10.0
    failures_per_minute: int = 600
    failure_sources: int = 10_000
    trusted_proxies: tuple[str, ...] = ()
    access_log: bool = True

    def __post_init__(self) -> None:
        for field in _COUNTS:
            arguments.integer(field, getattr(self, field), minimum=1)
        arguments.integer("failures_per_minute", self.failures_per_minute, minimum=0)
        arguments.boolean("access_log", self.access_log)
        TrustedProxies(self.trusted_proxies)
        seconds = self.body_timeout_seconds
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 3600:
            raise InvalidArgument("body_timeout_seconds", "a number of seconds above 0, up to an hour")
