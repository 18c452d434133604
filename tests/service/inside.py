"""The application in this process."""

import asyncio
from typing import Any

import httpx

from keyledger import KeyLedger
from keyledger.http import HttpSettings, application

Call = tuple[str, str, dict[str, Any]]


def client(ledger: KeyLedger, settings: HttpSettings, address: str = "203.0.113.1") -> httpx.AsyncClient:
    """A client of an application, from an address."""
    transport = httpx.ASGITransport(application(ledger, settings=settings), client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://service")


def answered(ledger: KeyLedger, settings: HttpSettings, *calls: Call) -> list[httpx.Response]:
    """The answers of one application to these calls, one after the other."""

    async def ask() -> list[httpx.Response]:
        async with client(ledger, settings) as asking:
            return [await asking.request(method, path, **more) for method, path, more in calls]

    return asyncio.run(ask())
