"""The service's description of itself: every route is in it, and each status that it names does come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any, get_args

import httpx
import msgspec
import pytest
from service import inside
from starlette.routing import BaseRoute, Mount, Route

from keyledger import KeyLedger, Settings, credentials
from keyledger.domain.ids import new_uuid
from keyledger.domain.secret import generate
from keyledger.http import HttpSettings, application
from keyledger.http.forms import PROBLEMS
from keyledger.http.oauth_calls import FORM
from keyledger.http.openapi import document
from keyledger.http.operations import OPERATIONS, Operation

_subjects = count()
UNKNOWN = "ak_" + "0" * 32
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DESCRIPTION = msgspec.json.decode(document())
CASES = [
    pytest.param(operation, status, id=f"{operation.method} {operation.path} {status}")
    for operation in OPERATIONS
    for status in operation.statuses
]


def paths_of(routes: list[BaseRoute], below: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount):
            yield from paths_of(list(route.routes), below + route.path)
        else:
            assert isinstance(route, Route)
            yield below + route.path


@pytest.fixture(scope="module")
def ledger(new_database: Callable[[], str]) -> Iterator[KeyLedger]:
    """One where names are unique, so that everything that is described can happen."""
    settings = Settings(background_worker=False, unique_names=True)
    with KeyLedger.open(new_database(), settings=settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def secret(ledger: KeyLedger) -> str:
    return credentials.create(ledger.api_keys, name="a service", scopes=credentials.SCOPES)[1]


class Asked:
    """A request that is answered well, and who answers it with which settings."""

    def __init__(self, operation: Operation, ledger: KeyLedger, secret: str, closed: KeyLedger) -> None:
        self.operation, self.ledger, self.closed = operation, ledger, closed
        self.settings = HttpSettings()
        self.subject = f"user_{next(_subjects)}"
        self.key, self.other = (
            ledger.api_keys.create(name=name, subject=self.subject) for name in ("a key", "another")
        )
        self.id = self.key.id
        self.headers = {"Authorization": f"Bearer {secret}"} if operation.scope else {}
        self.query = ""
        if "replay" in operation.path:
            self.query = f"at={ledger.replay.position()}"
        elif operation.name.startswith("getApiKeys"):
            self.query = f"subject={self.subject}"
        self.content = self._content() if operation.body else None

    def _content(self) -> Any:
        self.headers["Content-Type"] = self.operation.media_type
        if self.operation.media_type == FORM:
            return f"token={self.key.secret}".encode()
        body = {
            "createApiKey": {"name": "a new one", "subject": self.subject},
            "verifyApiKey": {"secret": self.key.secret},
        }
        return msgspec.json.encode(body.get(self.operation.name.removesuffix("V1"), {}))

    def spoil(self, status: int) -> None:
        """Change it so that it is answered with the status."""
        spoiling = getattr(self, f"_spoil_{status}", None)
        if spoiling is not None:
            spoiling()

    def answer(self) -> httpx.Response:
        """What it is answered; the second time where too many failures are looked for."""
        url = f"{self.operation.path.format(id=self.id)}?{self.query}"
        more = {"headers": self.headers, "content": self.content}
        call = self.operation.method, url, more
        times = 2 if self.settings.failures_per_minute == 1 else 1
        return inside.answered(self.ledger, self.settings, *[call] * times)[-1]

    def _spoil_200(self) -> None:
        self.headers["User-Agent"] = "speakeasy-sdk/python 4.2.0"

    def _spoil_400(self) -> None:
        self.content = b"{" if self.operation.body else None
        self.id = "nothing"
        self.query = "limit=0&page_size=0"

    def _spoil_401(self) -> None:
        self.headers["Authorization"] = "Bearer sk_wrong"

    def _spoil_403(self) -> None:
        other = [scope for scope in credentials.SCOPES if scope != self.operation.scope]
        _, secret = credentials.create(self.ledger.api_keys, name=f"without for {self.subject}", scopes=other)
        self.headers["Authorization"] = f"Bearer {secret}"

    def _spoil_404(self) -> None:
        self.id = self.id if "secret" in self.operation.path else UNKNOWN
        if self.operation.name.startswith("verify"):
            self.content = b'{"secret":"ak_x"}'

    def _spoil_408(self) -> None:
        self.settings, self.content = HttpSettings(body_timeout_seconds=0.01), _slow()

    def _spoil_409(self) -> None:
        self.ledger.api_keys.create(name="a key", subject=f"{self.subject}_b")
        subject = self.subject if self.operation.method == "POST" else f"{self.subject}_b"
        body = {"subject": subject} | ({"name": "another"} if self.operation.method == "POST" else {})
        self.content = msgspec.json.encode(body)

    def _spoil_413(self) -> None:
        self.settings = HttpSettings(body_limit_bytes=1)

    def _spoil_415(self) -> None:
        self.headers["Content-Encoding"] = "gzip"

    def _spoil_429(self) -> None:
        self.settings = HttpSettings(failures_per_minute=1)
        self.headers["Authorization"] = "Bearer sk_wrong"
        if not self.operation.scope:
            self.content = f"token={generate(new_uuid())}".encode()

    def _spoil_431(self) -> None:
        self.settings = HttpSettings(header_limit_bytes=1)

    def _spoil_503(self) -> None:
        self.ledger = self.closed


async def _slow() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(60)


@pytest.mark.parametrize(("operation", "status"), CASES)
def test_each_status_that_is_described_comes_as_it_is_described(
    operation: Operation, status: int, ledger: KeyLedger, secret: str, closed_ledger: KeyLedger
) -> None:
    asked = Asked(operation, ledger, secret, closed_ledger)
    asked.spoil(status)
    answer = asked.answer()
    assert answer.status_code == status, answer.text

    described = DESCRIPTION["paths"][operation.path][operation.method.lower()]["responses"][str(status)]
    for name in described.get("headers", ()):
        assert name in answer.headers
    if "content" not in described:
        assert answer.content == b""
        return
    ((media_type, content),) = described["content"].items()
    assert answer.headers["content-type"] == media_type
    known = DESCRIPTION["components"]["schemas"]
    schema = known[content["schema"]["$ref"].rpartition("/")[2]] if "$ref" in content["schema"] else {}
    body = answer.json()
    assert set(schema.get("required", ())) <= set(body)
    assert set(body) <= set(schema.get("properties", body))


def test_every_route_of_the_application_is_described_and_nothing_else(ledger: KeyLedger) -> None:
    app: Any = application(ledger)
    assert set(paths_of(app._app.routes)) == set(DESCRIPTION["paths"])


def test_405_for_every_method_that_is_not_described(ledger: KeyLedger) -> None:
    calls = [
        (method, path.format(id=UNKNOWN), {})
        for path, described in DESCRIPTION["paths"].items()
        for method in METHODS
        if method.lower() not in described
    ]
    answers = inside.answered(ledger, HttpSettings(), *calls)
    assert [(call[:2], answer.status_code) for call, answer in zip(calls, answers, strict=True)] == [
        (call[:2], 405) for call in calls
    ]


def test_each_call_says_what_it_is_for_and_whom_it_serves() -> None:
    names = set()
    for path, described in DESCRIPTION["paths"].items():
        for method, call in described.items():
            assert call["summary"].endswith("."), (method, path)
            names.add(call["operationId"])
            for security in call["security"]:
                assert set(security) <= set(DESCRIPTION["components"]["securitySchemes"])
            scopes = [scope for each in call["security"] for scope in each.get("credential", ())]
            assert set(scopes) <= set(credentials.SCOPES)
    assert len(names) == len(OPERATIONS)


def test_it_is_served_to_everybody_and_names_where_it_is_mounted(http: httpx.Client) -> None:
    answer = http.get("/openapi.json", headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == DESCRIPTION
    assert DESCRIPTION["openapi"] == "3.1.0"
    assert DESCRIPTION["servers"] == [{"url": "/"}]
    assert msgspec.json.decode(document("/keys"))["servers"] == [{"url": "/keys"}]


def test_the_types_are_those_that_the_calls_read_and_write() -> None:
    schemas = DESCRIPTION["components"]["schemas"]
    create = schemas["Create"]
    assert create["required"] == ["name", "subject"]
    assert create["additionalProperties"] is False
    assert create["properties"]["name"]["minLength"] == 3
    assert "secret" not in schemas["KeyObject"]["required"]
    assert schemas["Introspection"]["required"] == ["active"]


def test_each_problem_type_is_listed() -> None:
    assert DESCRIPTION["x-problem-types"]["urn:keyledger:problem:ledger_unavailable"]["status"] == 503
    assert len(DESCRIPTION["x-problem-types"]) == len(PROBLEMS)
    assert set(get_args(Operation.__annotations__["method"])) < set(METHODS)
    assert FORM in DESCRIPTION["paths"]["/oauth2/revoke"]["post"]["requestBody"]["content"]
