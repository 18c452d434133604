"""A service that ends, and a PostgreSQL that goes away."""

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from faults.private_server import PrivateServer
from service import ask
from service.client import Client, Refused
from service.conftest import Service, free_port, served
from support.waiting import eventually

from keyledger import KeyLedger, Settings, credentials

QUIET = Settings(background_worker=False)
_WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
def private_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    server = PrivateServer(tmp_path_factory.mktemp("stopped") / "pg")
    yield server
    server.lease.release()


def test_sigterm_stores_every_use_of_every_worker(new_database: Callable[[], str], tmp_path: Path) -> None:
    dsn = new_database()
    with KeyLedger.open(dsn, settings=QUIET) as ledger:
        _, credential = credentials.create(ledger.api_keys, name="a service", scopes=["keys:verify"])
        key = ledger.api_keys.create(name="a key", subject="user_1")

        with served(tmp_path / "log", "--workers", "2", dsn=dsn) as service:
            accepted = 0
            for _ in range(60):  # a connection each, so that each worker gets some
                answer = ask.post(
                    f"{service.url}/api_keys/verify",
                    json={"secret": key.secret},
                    headers={"Authorization": f"Bearer {credential}"},
                )
                accepted += answer.status_code == 200
            assert service.stop() == 0

        assert accepted == 60
        entries = ledger.audit.history(
            api_key_id=key.id, event_types=["KeyUsed"], page_size=100, fresh=True
        ).entries
        assert [entry.details["outcome"] for entry in entries] == ["valid"] * 60


def test_sigterm_ends_it_beside_connections_that_say_nothing(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    dsn = new_database()
    with KeyLedger.open(dsn, settings=QUIET) as ledger, ExitStack() as silent:
        _, credential = credentials.create(ledger.api_keys, name="a service", scopes=["keys:verify"])
        key = ledger.api_keys.create(name="a key", subject="user_1")

        with served(tmp_path / "log", "--read-timeout", "0.5", dsn=dsn) as service:
            host, _, port = service.url.removeprefix("http://").partition(":")
            for said in (b"", b"P", b"G", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"):
                connection = silent.enter_context(socket.create_connection((host, int(port))))
                connection.sendall(said)
            headers = {"Authorization": f"Bearer {credential}"}
            ask.post(f"{service.url}/api_keys/verify", json={"secret": key.secret}, headers=headers)
            assert service.stop() == 0

        assert "Killing" not in service.log.read_text()
        entries = ledger.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries
        assert [entry.details["outcome"] for entry in entries] == ["valid"]


def test_sigterm_waits_for_what_is_being_answered(new_database: Callable[[], str], tmp_path: Path) -> None:
    dsn = new_database()
    with KeyLedger.open(dsn, settings=QUIET) as ledger:
        _, credential = credentials.create(ledger.api_keys, name="a service", scopes=["keys:write"])
    answers: list[int] = []
    with served(tmp_path / "log", dsn=dsn) as service, psycopg.connect(dsn, autocommit=True) as looking:

        def create() -> None:
            headers = {"Authorization": f"Bearer {credential}"}
            body = {"name": "a key", "subject": "user_1"}
            answers.append(ask.post(f"{service.url}/api_keys", json=body, headers=headers).status_code)

        assert (
            ask.post(
                f"{service.url}/api_keys/verify", headers={"Authorization": f"Bearer {credential}"}
            ).status_code
            == 403
        )  # the credential is in memory now, so only the create will wait
        caller = threading.Thread(target=create)
        with psycopg.connect(dsn) as holder:
            holder.execute("LOCK TABLE keyledger.api_keys IN SHARE ROW EXCLUSIVE MODE")
            caller.start()
            eventually(lambda: looking.execute(_WAITING).fetchone())
            service.process.send_signal(signal.SIGTERM)
            eventually(lambda: "Stopping worker" in service.log.read_text())
            holder.rollback()
        caller.join()
        assert service.process.wait(60) == 0
    assert answers == [201]


def test_workers_share_an_embedded_server_which_ends_with_them(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with KeyLedger.open(data_dir=data_dir) as ledger:
        _, credential = credentials.create(ledger.api_keys, name="a service", scopes=["keys:write", "keys:read"])
    headers = {"Authorization": f"Bearer {credential}"}
    with served(tmp_path / "log", "--workers", "2", "--data-dir", str(data_dir)) as service:
        for number in range(8):
            body = {"name": f"key {number}", "subject": "user_1"}
            assert ask.post(f"{service.url}/api_keys", json=body, headers=headers).status_code == 201
            page = ask.get(f"{service.url}/api_keys?subject=user_1", headers=headers).json()
            assert page["total_count"] == number + 1
        assert service.stop() == 0
    assert not (data_dir / "cluster" / "postmaster.pid").exists()


class _DiesAfterCommit:
    """A load balancer before a service that is killed once it has answered the first create; it says 502 instead.

    Another service takes its place.
    """

    def __init__(self, start: Callable[[], Service]) -> None:
        self._start = start
        self.services = [start()]
        self.answers: list[int] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, kind, answer = owner.answer(self, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        answer = ask.post(self.services[-1].url + handler.path, content=body, headers=headers, timeout=30)
        self.answers.append(answer.status_code)
        if len(self.answers) == 1:
            os.killpg(self.services[0].process.pid, signal.SIGKILL)
            self.services.append(self._start())
            return 502, "text/html", b"<h1>Bad Gateway</h1>"
        return answer.status_code, answer.headers["content-type"], answer.content


@pytest.mark.parametrize(
    ("options", "headers", "second", "refused"),
    [
        # The secret went with the answer: that the client's model misses it is louder than an empty one.
        ((), {"Idempotency-Key": "deploys-of-november"}, 201, "ResponseValidationError"),
        (("--unique-names",), {}, 409, "CreateAPIKeyAPIKeysResponseResponseBody"),
    ],
)
def test_a_create_that_the_python_client_repeats_makes_one_key(
    new_database: Callable[[], str],
    new_client: Callable[..., Client],
    tmp_path: Path,
    options: tuple[str, ...],
    headers: dict[str, str],
    second: int,
    refused: str,
) -> None:
    dsn, running = new_database(), []
    with KeyLedger.open(dsn, settings=QUIET) as ledger:
        _, credential = credentials.create(ledger.api_keys, name="a service", scopes=["keys:write"])

        def start() -> Service:
            context = served(tmp_path / "log", *options, dsn=dsn, port=free_port())
            running.append(context)
            return context.__enter__()

        between = _DiesAfterCommit(start)
        try:
            client = new_client("clerk_python", url=between.url, secret=credential, retry_milliseconds=60_000)
            with pytest.raises(Refused) as error:
                client("create", {"name": "Deployments", "subject": "org_1", "http_headers": headers})
        finally:
            between.server.shutdown()
            between.server.server_close()
            for context in running:
                context.__exit__(None, None, None)

        assert between.answers == [201, second]
        assert error.value.kind == refused
        assert ledger.api_keys.get_all(subject="org_1", include_invalid=True).total_count == 1


def test_while_postgresql_is_away_there_is_503_and_nothing_else_and_then_it_goes_on(
    private_server: PrivateServer, tmp_path: Path
) -> None:
    dsn = private_server.new_dsn()
    with KeyLedger.open(dsn, settings=QUIET) as ledger:
        _, credential = credentials.create(ledger.api_keys, name="a service", scopes=credentials.SCOPES)
        key = ledger.api_keys.create(name="a key", subject="user_1")
    with (
        served(tmp_path / "log", "--database-timeout", "1", dsn=dsn) as service,
        _Load(service, credential, key.secret or "", key.id) as load,
    ):
        load.await_count(200, 20)
        private_server.kill()
        load.await_count(503, 4)
        assert ask.get(f"{service.url}/health/live").status_code == 200
        assert ask.get(f"{service.url}/health/ready").status_code == 503
        private_server.start()
        load.forget()
        load.await_count(200, 20)
        load.end()
        assert service.process.poll() is None
        assert set(load.all) <= {200, 201, 503}
        assert load.without_retry_after == 0


class _Load:
    """Callers that ask again and again until the end of the block, and what they were answered."""

    def __init__(self, service: Service, credential: str, secret: str, api_key_id: str) -> None:
        self._headers = {"Authorization": f"Bearer {credential}"}
        self._url = service.url
        self._ended = threading.Event()
        self.counts: Counter[int] = Counter()
        self.all: Counter[int] = Counter()
        self.without_retry_after = 0
        calls: list[tuple[str, str, Any]] = [
            ("POST", "/api_keys/verify", {"secret": secret}),
            ("POST", "/api_keys", {"name": "another", "subject": "user_2"}),
            ("GET", "/api_keys?subject=user_1", None),
            ("GET", f"/api_keys/{api_key_id}", None),
        ]
        self._threads = [threading.Thread(target=self._call, args=call) for call in calls]

    def __enter__(self) -> "_Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def forget(self) -> None:
        self.counts.clear()

    def await_count(self, status: int, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.counts[status] < count:
            assert time.monotonic() < deadline, self.all
            time.sleep(0.02)

    def _call(self, method: str, path: str, body: Any) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=60) as client:
            while not self._ended.is_set():
                answer = client.request(method, path, json=body)
                self.counts[answer.status_code] += 1
                self.all[answer.status_code] += 1
                if answer.status_code == 503 and not answer.headers.get("retry-after", "").isdecimal():
                    self.without_retry_after += 1
                time.sleep(0.01)
