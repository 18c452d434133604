"""`keyledger serve` as a process on a database of its own, and Clerk's clients, unmodified, at it."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cli.program_path import PROGRAM
from cryptography.hazmat.primitives.asymmetric import rsa
from service import ask, installing
from service.client import Client

from keyledger import KeyLedger, Settings, credentials

STARTING_SECONDS = 60
ISSUER = "https://clerk.example.test"


class Service:
    """A running `keyledger serve`."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def stop(self) -> int:
        """Ask it to end, and wait for that."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STARTING_SECONDS)


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(log: Path, *options: str, dsn: str | None = None, port: int | None = None) -> Iterator[Service]:
    """A service that is ready, until the end of the block."""
    port = port or free_port()
    environment = os.environ | ({} if dsn is None else {"KEYLEDGER_DSN": dsn})
    with log.open("ab") as output:
        process = subprocess.Popen(
            [PROGRAM, "serve", "--port", str(port), *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    service = Service(process, f"http://127.0.0.1:{port}", log)
    try:
        await_ready(service)
        yield service
    finally:
        if process.poll() is None:
            service.stop()


def await_ready(service: Service) -> None:
    """Wait until it answers that it can decide."""
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            if ask.get(f"{service.url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert service.process.poll() is None, service.log.read_text()
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.02)


@pytest.fixture(scope="session")
def service_dsn(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture(scope="session")
def owner(service_dsn: str) -> Iterator[KeyLedger]:
    """The service's ledger, opened beside it."""
    with KeyLedger.open(service_dsn, settings=Settings(background_worker=False)) as ledger:
        yield ledger


@pytest.fixture(scope="session")
def closed_ledger(service_dsn: str) -> KeyLedger:
    """A ledger that cannot decide on anything."""
    ledger = KeyLedger.open(service_dsn, settings=Settings(background_worker=False))
    ledger.close()
    return ledger


@pytest.fixture(scope="session")
def new_credential(owner: KeyLedger) -> Callable[..., str]:
    """Makes a credential with these scopes, and returns its secret."""

    def make(*scopes: str) -> str:
        return credentials.create(owner.api_keys, name="a service", scopes=scopes)[1]

    return make


@pytest.fixture(scope="session")
def credential(new_credential: Callable[..., str]) -> str:
    """The secret of a credential that may call everything."""
    return new_credential(*credentials.SCOPES)


@pytest.fixture(scope="session")
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def jwks_file(signing_key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signing_key.public_key()))
    path = tmp_path_factory.mktemp("jwks") / "jwks.json"
    path.write_text(json.dumps({"keys": [{**jwk, "kid": "ins_1", "alg": "RS256", "use": "sig"}]}))
    return path


@pytest.fixture(scope="session")
def session_token(signing_key: rsa.RSAPrivateKey) -> Callable[..., str]:
    """Signs a session token as Clerk makes them (version 2), with other claims where they are given."""

    def sign(user: str, organization: str | None = None, *, kid: str = "ins_1", **claims: Any) -> str:
        now = int(time.time())
        made: dict[str, Any] = {
            "iss": ISSUER,
            "sub": user,
            "sid": "sess_1",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "v": 2,
        }
        if organization is not None:
            made["o"] = {"id": organization, "rol": "admin", "slg": "acme"}
        made |= claims
        return jwt.encode(
            {name: value for name, value in made.items() if value is not None},
            signing_key,
            algorithm="RS256",
            headers={"kid": kid},
        )

    return sign


@pytest.fixture(scope="session")
def service(service_dsn: str, jwks_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for all tests."""
    log = tmp_path_factory.mktemp("service") / "log"
    with served(log, "--jwks-file", str(jwks_file), "--issuer", ISSUER, dsn=service_dsn) as found:
        yield found


@pytest.fixture
def http(service: Service, credential: str) -> Iterator[httpx.Client]:
    """Calls the service with the credential."""
    with httpx.Client(
        base_url=service.url, headers={"Authorization": f"Bearer {credential}"}, timeout=30
    ) as client:
        yield client


@pytest.fixture
def browser(service: Service) -> Iterator[Callable[[str], httpx.Client]]:
    """Calls the service with a session token."""
    with ExitStack() as stack:

        def made(token: str) -> httpx.Client:
            headers = {"Authorization": f"Bearer {token}"}
            return stack.enter_context(httpx.Client(base_url=service.url, headers=headers, timeout=30))

        yield made


_subjects = count(1)


@pytest.fixture
def new_subject() -> Callable[[str], str]:
    """Makes an id as Clerk's are, which nobody else has."""
    return lambda kind="user": f"{kind}_{next(_subjects):027}"


@pytest.fixture
def subject(new_subject: Callable[..., str]) -> str:
    return new_subject("user")


@pytest.fixture
def create(http: httpx.Client, subject: str) -> Callable[..., dict[str, Any]]:
    """Creates a key of the subject."""

    def created(**fields: Any) -> dict[str, Any]:
        answer = http.post("/api_keys", json={"name": "Deployments", "subject": subject, **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return created


@pytest.fixture(scope="session")
def new_client() -> Iterator[Callable[..., Client]]:
    """Starts one of Clerk's clients, at a URL with a secret."""
    with ExitStack() as stack:

        def start(name: str, **about: Any) -> Client:
            if name == "clerk_python":
                command = [str(installing.python_client()), str(installing.SOURCES / f"{name}.py")]
            else:
                command = [installing.node(), str(installing.node_program(f"{name}.mjs"))]
            return stack.enter_context(Client(name, command, about))

        yield start


@pytest.fixture(scope="session")
def backend_js(new_client: Callable[..., Client], service: Service, credential: str) -> Client:
    """`@clerk/backend`."""
    return new_client("clerk_backend", url=service.url, secret=credential)


@pytest.fixture(scope="session")
def backend_python(new_client: Callable[..., Client], service: Service, credential: str) -> Client:
    """`clerk-backend-api`."""
    return new_client("clerk_python", url=service.url, secret=credential)
