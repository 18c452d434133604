"""`keyledger serve` with options that change how it answers."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from service import ask
from service.command_line import run
from service.conftest import Service, served

pytestmark = pytest.mark.xdist_group("unusual_service")

_HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SILENT = {
    "nothing": b"",
    "a letter of HTTP/1 or HTTP/2": b"P",
    "a letter": b"G",
    "the preface of HTTP/2": _HTTP_2,
    "half a head of HTTP/2": _HTTP_2 + b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x20\x01\0\0\0\0\1\x82",
}

_PATIENCE_SECONDS = 8  # less than what is waited for without the option


@pytest.fixture(scope="module")
def own_dsn(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture(scope="module")
def headers(own_dsn: str) -> dict[str, str]:
    made = run(own_dsn, "credentials", "create", "--name", "Billing", "--scopes", "keys:write,keys:read", "--json")
    return {"Authorization": f"Bearer {json.loads(made.stdout)['secret']}"}


@pytest.fixture(scope="module")
def unusual(own_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    options = (
        *("--unique-names", "--read-timeout", "0.2", "--body-limit", "1000", "--failures-per-minute", "1"),
        *("--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8", "--no-access-log"),
    )
    with served(tmp_path_factory.mktemp("unusual") / "log", *options, dsn=own_dsn) as service:
        yield service


def test_the_dsn_is_in_no_worker_s_arguments(unusual: Service) -> None:
    listed = subprocess.run(["ps", "-eo", "pgid,args"], capture_output=True, text=True, check=True).stdout
    ours = [line for line in listed.splitlines() if line.split()[0] == str(unusual.process.pid)]
    assert len(ours) >= 2
    assert not [line for line in ours if "dbname" in line]


def test_unique_names_are_409_where_they_are_switched_on(unusual: Service, headers: dict[str, str]) -> None:
    body: dict[str, Any] = {"name": "Deployments", "subject": "org_1"}
    first, second = (ask.post(f"{unusual.url}/api_keys", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json()["errors"][0]["code"] == "token_creation_conflict"
    ask.post(f"{unusual.url}/api_keys/{first.json()['id']}/revoke", headers=headers)
    assert ask.post(f"{unusual.url}/api_keys", json=body, headers=headers).status_code == 201


def test_a_head_that_does_not_end_is_cut_off(unusual: Service) -> None:
    with connected(unusual) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: service\r\nX-Slow: ")
        assert not connection.recv(4096).startswith(b"HTTP/1.1 2")
        # An answer, where there is one, is the last thing before the end.
        assert connection.recv(4096) == b""


@pytest.mark.parametrize("said", SILENT.values(), ids=SILENT.keys())
def test_a_connection_that_says_nothing_of_use_is_cut_off(unusual: Service, said: bytes) -> None:
    with connected(unusual) as connection:
        connection.sendall(said)
        while connection.recv(4096):
            pass  # a time-out here would be a connection that is still open


def test_413_for_a_length_over_the_limit_before_anything_of_the_body_came(
    unusual: Service, headers: dict[str, str]
) -> None:
    with connected(unusual) as connection:
        authorization = headers["Authorization"].encode()
        connection.sendall(
            b"POST /api_keys HTTP/1.1\r\nHost: service\r\nContent-Length: 1001\r\n"
            b"Authorization: " + authorization + b"\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_end_is_408(unusual: Service, headers: dict[str, str]) -> None:
    with connected(unusual) as connection:
        authorization = headers["Authorization"].encode()
        connection.sendall(
            b"POST /api_keys HTTP/1.1\r\nHost: service\r\nContent-Length: 9\r\n"
            b"Authorization: " + authorization + b"\r\n\r\n{"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_413_for_more_than_the_limit(unusual: Service, headers: dict[str, str]) -> None:
    body = {"name": "a key", "subject": "org_1", "description": "x" * 1000}
    assert ask.post(f"{unusual.url}/api_keys", json=body, headers=headers).status_code == 413


def test_the_source_of_a_request_is_who_the_proxies_say(
    unusual: Service, headers: dict[str, str], own_dsn: str
) -> None:
    made = ask.post(
        f"{unusual.url}/api_keys",
        json={"name": "From afar", "subject": "org_1"},
        headers=headers | {"X-Forwarded-For": "192.0.2.1, 198.51.100.7, 10.1.2.3"},
    ).json()
    found = json.loads(run(own_dsn, "--json", "audit", "history", "--key", made["id"]).stdout)
    assert found["entries"][0]["actor"]["ip_address"] == "198.51.100.7"
    assert [status_from(unusual, source) for source in ("203.0.113.1", "203.0.113.1", "203.0.113.2")] == [
        401,
        429,
        401,
    ]


def test_no_access_log_is_written(unusual: Service) -> None:
    ask.get(f"{unusual.url}/health/live")
    assert "GET /health" not in unusual.log.read_text()


def status_from(service: Service, source: str) -> int:
    """What a wrong credential from behind a proxy is answered."""
    headers = {"Authorization": "Bearer sk_wrong", "X-Forwarded-For": source}
    return ask.get(f"{service.url}/v1/audit", headers=headers).status_code


def connected(service: Service) -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS)
