"""Whether the service runs, and whether its ledger can be asked."""

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyledger.http.wire import Answer
from keyledger.ledger import KeyLedger


class HealthObject(msgspec.Struct, frozen=True, kw_only=True):
    """One word."""

    status: Literal["ok"] = "ok"


class Health:
    """The handlers; neither needs a credential, or tells more than one word."""

    def __init__(self, ledger: KeyLedger) -> None:
        self._ledger = ledger

    def routes(self) -> list[Route]:
        """By path."""
        return [
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
        ]

    async def live(self, _: Request) -> Response:
        """200 as long as the process answers."""
        return Answer(HealthObject())

    async def ready(self, _: Request) -> Response:
        """200 where PostgreSQL answers, else 503 (LedgerUnavailable)."""
        await self._ledger.aio.ping()
        return Answer(HealthObject())
