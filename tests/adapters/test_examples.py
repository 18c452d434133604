"""Each example, as a user runs it: a server process of its own, a real ledger, requests over the network."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from support.proxy import Proxy
from support.waiting import eventually

from keyledger import KeyLedger, Settings

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "asgi": ("asginl", "asgi_service:app"),
    "starlette": ("asgi", "starlette_service:app"),
    "fastapi": ("asgi", "fastapi_service:app"),
    "litestar": ("asgi", "litestar_service:app"),
    "flask": ("wsgi", "flask_service:app"),
    "django": ("asgi", "django_service:app"),
    "django by WSGI": ("wsgi", "django_service:wsgi"),
    "drf": ("wsgi", "drf_service:app"),
}
PATIENCE_SECONDS = 40

pytestmark = pytest.mark.xdist_group("examples")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a service answered; the names of header fields are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Service:
    """A granian with one worker that serves an example."""

    def __init__(self, interface: str, target: str, dsn: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        command = [sys.executable, "-m", "granian", "--interface", interface, "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*command, "--no-ws", "--log-level", "warning", f"examples.{target}"],
            cwd=ROOT,
            env={**os.environ, "KEYLEDGER_DSN": dsn},
        )

    def answers(self) -> bool:
        """Whether it does yet."""
        assert self._process.poll() is None, "the service ended"
        try:
            return self.get("/health").status == 200
        except OSError:
            return False

    def get(self, path: str, secret: str | None = None, **fields: str) -> Answer:
        """GET it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=found, body=response.read())
        finally:
            connection.close()

    def stop(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended."""
        try:
            self._process.wait(PATIENCE_SECONDS)
        finally:
            self._process.kill()


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All examples on one ledger, with a network in between that can fail."""

    ledger: KeyLedger
    proxy: Proxy
    services: dict[str, Service]


@pytest.fixture(scope="module")
def world(new_database: Callable[[], str]) -> Iterator[World]:
    dsn = new_database()
    proxy = Proxy(dsn)
    services = {name: Service(*of, proxy.dsn) for name, of in EXAMPLES.items()}
    try:
        with KeyLedger.open(dsn, settings=Settings(flush_interval_seconds=0.05)) as ledger:
            end = time.monotonic() + PATIENCE_SECONDS
            for service in services.values():
                while not service.answers():
                    assert time.monotonic() < end
                    time.sleep(0.05)
            yield World(ledger=ledger, proxy=proxy, services=services)
    finally:
        for service in services.values():
            service.stop()
        for service in services.values():
            service.wait()
        proxy.close()


@pytest.fixture(params=EXAMPLES)
def service(request: pytest.FixtureRequest, world: World) -> Service:
    return world.services[request.param]


def new_key(world: World, *scopes: str) -> tuple[str, str]:
    key = world.ledger.api_keys.create(name="a key", subject="org_1", scopes=scopes)
    return key.id, str(key.secret)


def test_who_has_a_key_is_let_in_and_the_use_is_on_record(world: World) -> None:
    key_id, secret = new_key(world, "things:read")
    for name, service in world.services.items():
        answer = service.get("/things?page=2", secret, User_Agent="agent/1", X_Request_ID=name)
        assert (answer.status, answer.body.strip(b'"')) == (200, b"org_1")

    eventually(lambda: len(history(world, key_id)) == len(EXAMPLES))  # each service flushes once a second
    alike = {
        "ip_address": "127.0.0.1",
        "user_agent": "agent/1",
        "method": "GET",
        "path": "/things",
        "outcome": "valid",
    }
    used = {details["request_id"]: details for details in history(world, key_id)}
    assert used == {name: {**alike, "request_id": name} for name in EXAMPLES}


def test_who_has_none_is_asked_for_one(service: Service) -> None:
    answer = service.get("/things")

    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="api"')
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_revoked_key_is_refused(service: Service, world: World) -> None:
    key_id, secret = new_key(world, "things:read")
    assert service.get("/things", secret).status == 200
    world.ledger.api_keys.revoke(key_id, barrier=True)

    answer = service.get("/things", secret)

    assert (answer.status, json.loads(answer.body)["code"]) == (401, "revoked")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_key_without_the_scope_is_told_which(service: Service, world: World) -> None:
    _, secret = new_key(world, "other")

    answer = service.get("/things", secret)

    assert answer.status == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert answer.headers["www-authenticate"].endswith('scope="things:read"')


def test_while_postgresql_is_away_nobody_is_let_in_and_afterwards_all_is_well(world: World) -> None:
    _, secret = new_key(world, "things:read")
    services = list(world.services.values())
    world.proxy.refuse()
    with ThreadPoolExecutor(len(services)) as pool:  # together, as each waits for as long as the ledger does
        answers = list(pool.map(lambda service: service.get("/things", secret), services))
    open_to_all = [service.get("/health").status for service in services]
    world.proxy.refuse(False)

    assert [answer.status for answer in answers] == [503] * len(services)
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert open_to_all == [200] * len(services)
    for service in services:
        eventually(lambda service=service: service.get("/things", secret).status == 200)


def history(world: World, key_id: str) -> list[dict[str, object]]:
    page = world.ledger.audit.history(api_key_id=key_id, event_types=["KeyUsed"], fresh=True)
    return [entry.details for entry in page.entries]
