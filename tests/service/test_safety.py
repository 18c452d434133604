"""What keeps the service safe: limits, headers, a log without secrets, and refusals that harm nobody else."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from service import ask, inside
from starlette.applications import Starlette
from starlette.routing import Mount
from support.waiting import eventually

from keyledger import InvalidArgument, KeyLedger, credentials
from keyledger.domain import secret
from keyledger.domain.ids import new_uuid
from keyledger.http import HttpSettings, application
from keyledger.http.failure_counts import SPAN_SECONDS, Failures

Create = Callable[..., dict[str, Any]]


def test_413_for_a_body_that_is_too_long_however_it_comes(http: httpx.Client) -> None:
    long = b'{"name":"' + b"x" * 65_536 + b'"}'
    assert http.post("/api_keys", content=long).status_code == 413
    chunks = (long[at : at + 4096] for at in range(0, len(long), 4096))
    answer = http.post("/api_keys", content=chunks)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, "request_entity_too_large")


def test_a_length_of_thousands_of_digits_is_read(owner: KeyLedger) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    calls: list[inside.Call] = [
        ("POST", "/oauth2/revoke", {"headers": headers | {"Content-Length": length}, "content": b"token=x"})
        for length in ("0" * 5000 + "7", "9" * 5000)
    ]
    statuses = [answer.status_code for answer in inside.answered(owner, HttpSettings(), *calls)]
    assert statuses == [200, 413]


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("br, gzip", 415), ("identity", 201), ("", 201)])
def test_415_for_a_body_that_is_compressed(http: httpx.Client, subject: str, coding: str, status: int) -> None:
    body = {"name": "a key", "subject": subject}
    answer = http.post("/api_keys", json=body, headers={"Content-Encoding": coding})
    assert answer.status_code == status
    if status == 415:
        assert answer.json()["errors"][0]["code"] == "unsupported_media_type"
        assert answer.headers["accept-encoding"] == "identity"


def test_431_for_headers_that_are_too_long_or_too_many(http: httpx.Client) -> None:
    assert http.get("/health/live", headers={"X-Long": "x" * 40_000}).status_code == 431
    assert http.get("/health/live", headers={f"X-{number}": "" for number in range(200)}).status_code == 431


def test_408_for_a_body_that_does_not_come(owner: KeyLedger, credential: str) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    async def call() -> httpx.Response:
        async with inside.client(owner, HttpSettings(body_timeout_seconds=0.05)) as client:
            headers = {"Authorization": f"Bearer {credential}"}
            return await client.post("/api_keys", content=slow(), headers=headers)

    assert asyncio.run(call()).status_code == 408


def test_answers_have_the_headers_that_keep_browsers_from_mischief(http: httpx.Client) -> None:
    for answer in (http.get("/health/live"), http.get("/nowhere"), http.get("/api_keys")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_other_origin_is_let_in(http: httpx.Client) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = http.options("/api_keys", headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("given", "is_kept"), [("req-1.2:3/4", True), ("a b", False), ("x" * 129, False)])
def test_a_request_s_id_comes_back_if_it_is_a_plain_one(http: httpx.Client, given: str, is_kept: bool) -> None:
    assert (http.get("/health/live", headers={"X-Request-Id": given}).headers["x-request-id"] == given) is is_kept


def test_the_log_has_each_request_and_no_secret(
    http: httpx.Client, service: Any, create: Create, credential: str, subject: str
) -> None:
    key = create(name="a name of some length")
    http.post("/api_keys/verify", json={"secret": key["secret"]})
    http.get(f"/api_keys/{key['secret']}", headers={"X-Request-Id": key["secret"]})
    http.get(f"/api_keys?subject={subject}&query={credential}")
    http.get(
        f"/{credential}/%0Aforged", headers={"User-Agent": key["secret"], "Cookie": f"__session={credential}"}
    )
    ask.get(f"{service.url}/api_keys", headers={"Authorization": f"Bearer {key['secret']}"})
    marker = create()["id"]
    http.get(f"/api_keys/{marker}")

    # Written before the answer, but by another process.
    eventually(lambda: marker in service.log.read_text())
    log = service.log.read_text()
    assert "POST /api_keys/verify 200" in log
    assert "GET /ak_[redacted]/\\nforged 400" in log
    for text in (
        key["secret"],
        key["secret"][3:],
        credential,
        credential[3:],
        "a name of some length",
        "subject=",
    ):
        assert text not in log


def test_an_answer_repeats_no_secret(http: httpx.Client, create: Create) -> None:
    text = create()["secret"]
    for answer in (
        http.post("/api_keys/verify", json={"secret": text + "x"}),
        http.post("/api_keys/verify", json={"secret": {"of": text}}),
        http.post("/api_keys/verify", content=f'{{"secret": "{text}", "secret": 1}}'),
        http.post("/api_keys", json={"name": text, "subject": "user_1"}),
        http.post("/api_keys", json={text: 1}),
        http.get(f"/api_keys/{text}"),
        http.get(f"/api_keys?subject={text}"),
    ):
        assert answer.status_code in (400, 404)
        assert text[3:40] not in answer.text


def test_429_for_a_source_of_many_wrong_credentials_and_no_other_one(owner: KeyLedger, credential: str) -> None:
    app = application(owner, settings=HttpSettings(failures_per_minute=3))

    async def call(token: str, address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get("/api_keys?subject=user_1", headers={"Authorization": f"Bearer {token}"})

    async def story() -> list[httpx.Response]:
        return [
            *[await call("sk_wrong", "203.0.113.1") for _ in range(4)],
            await call(credential, "203.0.113.1"),
            await call("sk_wrong", "203.0.113.2"),
        ]

    answers = asyncio.run(story())
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 200, 401]
    assert 1 <= int(answers[3].headers["retry-after"]) <= SPAN_SECONDS


def test_what_a_proxy_says_counts_only_where_that_one_is_trusted(owner: KeyLedger) -> None:
    calls: list[inside.Call] = [
        ("GET", "/v1/audit", {"headers": {"Authorization": "Bearer sk_wrong", "X-Forwarded-For": source}})
        for source in ("192.0.2.1", "192.0.2.2")
    ]
    for trusted, statuses in (((), [401, 429]), (("203.0.113.0/24",), [401, 401]), (("10.0.0.0/8",), [401, 429])):
        settings = HttpSettings(failures_per_minute=1, trusted_proxies=trusted)
        assert [answer.status_code for answer in inside.answered(owner, settings, *calls)] == statuses


def test_429_for_a_service_with_many_refused_secrets_which_keeps_no_good_one_out(
    owner: KeyLedger, credential: str
) -> None:
    good = owner.api_keys.create(name="a key", subject="user_1").secret
    bad = secret.generate(new_uuid())

    async def story() -> list[int]:
        async with inside.client(owner, HttpSettings(failures_per_minute=2)) as client:
            client.headers["Authorization"] = f"Bearer {credential}"
            return [
                (await client.post("/api_keys/verify", json={"secret": each})).status_code
                for each in (bad, bad, bad, good)
            ]

    assert asyncio.run(story()) == [404, 404, 429, 200]


def test_the_table_of_failures_is_bounded_and_forgets_after_a_minute() -> None:
    now = 0.0
    failures = Failures(limit=1, sources=100, clock=lambda: now)
    for number in range(10_000):
        assert failures.count(str(number)) is None
    assert len(failures) == 100
    assert failures.count("9999") == SPAN_SECONDS
    now = SPAN_SECONDS
    assert failures.count("9999") is None


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8::1", "[2001:DB8::2]:443", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.1", "::ffff:203.0.113.2", False),
        ("203.0.113.1", "203.0.113.2", False),
    ],
)
def test_failures_are_counted_by_ipv6_network_and_by_ipv4_address(one: str, other: str, are_one: bool) -> None:
    failures = Failures(limit=1, sources=100, clock=lambda: 0.0)
    assert failures.count(one) is None
    assert (failures.count(other) is not None) is are_one


def test_it_can_be_mounted_in_a_service_s_own_application(owner: KeyLedger, credential: str) -> None:
    outer = Starlette(routes=[Mount("/keys", application(owner))])

    async def call() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://service") as client:
            client.headers["Authorization"] = f"Bearer {credential}"
            paths = ("/keys/api_keys", "/keys/v1/api_keys", "/keys//api_keys", "/keys/nowhere")
            return [await client.get(f"{path}?subject=user_mounted") for path in paths]

    answers = asyncio.run(call())
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404]
    assert answers[-1].json()["code"] == "resource_not_found"


def test_noise_on_the_socket_is_no_500(service: Any) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    for noise in (
        b"\x00\xff\n\r\n\r\n",
        b"GET  HTTP/9\r\n\r\n",
        b"POST /api_keys HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            answered = b""
            with contextlib.suppress(ConnectionResetError):
                while some := connection.recv(4096):
                    answered += some
            assert not answered.startswith(b"HTTP/1.1 5")
    assert ask.get(f"{service.url}/health/live").status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"body_limit_bytes": 0},
        {"failures_per_minute": -1},
        {"failure_sources": 0},
        {"body_timeout_seconds": 0},
        {"access_log": "yes"},
        {"trusted_proxies": ("nowhere",)},
        {"trusted_proxies": "10.0.0.0/8"},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        HttpSettings(**wrong)


def test_scopes_of_credentials_are_those_that_calls_need() -> None:
    assert credentials.SCOPES == ("keys:read", "keys:write", "keys:verify", "audit:read")
