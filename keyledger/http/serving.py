"""Running the service: granian's processes, each with a ledger of its own."""

import math
import os
from pathlib import Path

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server
from starlette.types import ASGIApp, Receive, Scope, Send

from keyledger.http.app import application
from keyledger.http.jwt_sessions import JWTSessions
from keyledger.http.sessions import Authenticator
from keyledger.http.settings import HttpSettings
from keyledger.ledger import KeyLedger
from keyledger.settings import Settings

VARIABLE = "KEYLEDGER_SERVE"
"""Where a worker finds its plan: the environment, since a DSN must not stand in argv."""

_CLOSING_SECONDS = 5


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What `keyledger serve` was told: where the ledger is, where to listen, and how to behave.

    jwks_file, issuer, authorized_parties: as of JWTSessions; no file, no browsers.
    read_timeout_seconds: how long a request's head, and then its body, may take to arrive.
    The rest is as of HttpSettings and Settings.
    """

    dsn: str | None
    data_dir: str | None
    host: str
    port: int
    workers: int
    jwks_file: str | None = None
    issuer: str | None = None
    authorized_parties: tuple[str, ...] = ()
    unique_names: bool = False
    database_timeout_seconds: float = Settings().database_timeout_seconds
    trusted_proxies: tuple[str, ...] = ()
    body_limit_bytes: int = HttpSettings().body_limit_bytes
    failures_per_minute: int = HttpSettings().failures_per_minute
    read_timeout_seconds: float = HttpSettings().body_timeout_seconds
    access_log: bool = True

    def authenticator(self) -> Authenticator | None:
        """Who knows browser sessions. Raises InvalidArgument."""
        if self.jwks_file is None:
            return None
        return JWTSessions(
            jwks_file=self.jwks_file, issuer=self.issuer, authorized_parties=self.authorized_parties
        )

    def settings(self) -> HttpSettings:
        """How the service behaves. Raises InvalidArgument."""
        return HttpSettings(
            authenticator=self.authenticator(),
            trusted_proxies=self.trusted_proxies,
            body_limit_bytes=self.body_limit_bytes,
            body_timeout_seconds=self.read_timeout_seconds,
            failures_per_minute=self.failures_per_minute,
            access_log=self.access_log,
        )

    def ledger_settings(self) -> Settings:
        """How its ledgers behave."""
        return Settings(unique_names=self.unique_names, database_timeout_seconds=self.database_timeout_seconds)


def serve(plan: Plan) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was begun, and store every use."""
    os.environ[VARIABLE] = msgspec.json.encode(plan).decode()
    Server(
        f"{__name__}:worker",
        factory=True,
        address=plan.host,
        port=plan.port,
        workers=plan.workers,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # where it looks for HTTP/2 first, a connection that says little has no time-out
        websockets=False,
        log_dictconfig=_LOGGING,
        log_access=False,
        http1_settings=HTTP1Settings(header_read_timeout=math.ceil(plan.read_timeout_seconds * 1000)),
        workers_kill_timeout=_stop_seconds(plan),
        respawn_failed_workers=True,
    ).serve()


def _stop_seconds(plan: Plan) -> int:
    """The most that a request which has begun may take, and closing the ledger; what is slower is killed."""
    return math.ceil(2 * plan.read_timeout_seconds + plan.database_timeout_seconds) + _CLOSING_SECONDS


def worker() -> ASGIApp:
    """The application of one worker process, which closes its ledger at the end."""
    plan = msgspec.json.decode(os.environ[VARIABLE], type=Plan)
    data_dir = Path(plan.data_dir) if plan.data_dir is not None else None
    ledger = KeyLedger.open(plan.dsn, data_dir=data_dir, settings=plan.ledger_settings())
    return _Closing(application(ledger, settings=plan.settings()), ledger)


class _Closing:
    """Closes the ledger when the server says that it ends."""

    def __init__(self, app: ASGIApp, ledger: KeyLedger) -> None:
        self._app = app
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._ledger.aio.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": "INFO", "propagate": False} for name in ("_granian", "keyledger")
    },
}
