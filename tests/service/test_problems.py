"""What is refused outside Clerk's paths: RFC 9457's problem details."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from service.inside import answered

from keyledger import KeyLedger, Settings, credentials
from keyledger.http import HttpSettings
from keyledger.http.openapi import document

DESCRIBED = json.loads(document())


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The details, whose members are those of the answer itself."""
    found: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert found["type"] == f"urn:keyledger:problem:{found['code']}"
    assert DESCRIBED["x-problem-types"][found["type"]]["status"] == answer.status_code
    assert (found["status"], found["request_id"]) == (answer.status_code, answer.headers["x-request-id"])
    assert found["title"]
    assert found["detail"]
    return found


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/nowhere", "/v1", "/v1/", "/v1/nothing", "/v1/audit/", "/v2/api_keys", "/oauth2/", "/api_keys_"),
        "/health/live/",
    ],
)
def test_404_for_an_unknown_path(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "resource_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/audit", {"GET", "HEAD"}),
        ("DELETE", "/v1/replay/api_keys/ak_1", {"GET", "HEAD"}),
        ("GET", "/oauth2/introspect", {"POST"}),
        ("GET", "/oauth2/revoke", {"POST"}),
        ("PUT", "/health/live", {"GET", "HEAD"}),
        ("PUT", "/openapi.json", {"GET", "HEAD"}),
    ],
)
def test_405_names_the_methods_that_there_are(
    http: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_413_for_a_body_that_is_too_long(http: httpx.Client) -> None:
    answer = http.post("/oauth2/revoke", data={"token": "x" * 70_000})
    assert (answer.status_code, problem_of(answer)["code"]) == (413, "request_entity_too_large")


def test_431_for_headers_that_are_too_long(http: httpx.Client) -> None:
    answer = http.get("/health/live", headers={"X-Long": "x" * 40_000})
    assert (answer.status_code, problem_of(answer)["code"]) == (431, "headers_too_large")


def test_429_says_how_long_to_wait(owner: KeyLedger) -> None:
    wrong = {"Authorization": "Bearer sk_wrong"}
    first, second = answered(
        owner, HttpSettings(failures_per_minute=1), *[("GET", "/v1/audit", {"headers": wrong})] * 2
    )
    assert (first.status_code, problem_of(first)["code"]) == (401, "authentication_invalid")
    assert (second.status_code, problem_of(second)["code"]) == (429, "too_many_requests")
    assert int(second.headers["retry-after"]) > 0


def test_503_where_the_ledger_cannot_decide(closed_ledger: KeyLedger) -> None:
    (answer,) = answered(closed_ledger, HttpSettings(), ("GET", "/health/ready", {}))
    assert (answer.status_code, problem_of(answer)["code"]) == (503, "ledger_unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_401_and_403_of_a_call_beside_clerk_s(http: httpx.Client, service: Any, new_credential: Any) -> None:
    with httpx.Client(base_url=service.url) as nobody:
        answer = nobody.get("/v1/audit")
        assert (answer.status_code, problem_of(answer)["code"]) == (401, "authorization_header_missing")
        nobody.headers["Authorization"] = f"Bearer {new_credential('keys:read')}"
        answer = nobody.get("/v1/audit")
        assert (answer.status_code, problem_of(answer)["code"]) == (403, "insufficient_scope")


def test_an_argument_that_is_wrong_is_named(http: httpx.Client) -> None:
    answer = http.get("/v1/audit?page_size=0")
    assert (answer.status_code, problem_of(answer)["param"]) == (400, "page_size")


def test_503_for_a_key_whose_pepper_is_not_there_says_which(open_ledger: Callable[..., KeyLedger]) -> None:
    key = open_ledger(Settings(peppers={"2030": b"p" * 32})).api_keys.create(name="a key", subject="user_1")
    ledger = open_ledger()
    _, credential = credentials.create(ledger.api_keys, name="a service", scopes=["keys:verify"])
    headers = {"Authorization": f"Bearer {credential}"}

    verified, introspected = answered(
        ledger,
        HttpSettings(),
        ("POST", "/api_keys/verify", {"json": {"secret": key.secret}, "headers": headers}),
        ("POST", "/oauth2/introspect", {"data": {"token": key.secret}, "headers": headers}),
    )

    detail = problem_of(introspected)["detail"]
    assert (verified.status_code, introspected.status_code) == (503, 503)
    assert verified.json()["errors"][0]["long_message"] == detail
    assert detail.startswith("The key was made with the pepper '2030', which this process was not given")
    assert "try again" not in detail
