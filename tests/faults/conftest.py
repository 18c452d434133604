"""Servers that a test may harm, a network that fails, and programs that use a ledger."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faults.private_server import PrivateServer
from support.program import Program
from support.proxy import Proxy


@pytest.fixture(scope="session")
def private_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """One for all the tests of a worker: a new cluster costs a second."""
    server = PrivateServer(tmp_path_factory.mktemp("private") / "pg")
    yield server
    server.lease.release()


@pytest.fixture
def private_server(private_servers: PrivateServer) -> Iterator[PrivateServer]:
    """A running server that the test may harm."""
    private_servers.start()
    yield private_servers
    private_servers.start()


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    """The network to the empty database of the test."""
    proxy = Proxy(dsn)
    yield proxy
    proxy.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Starts programs, which do not outlive the test."""
    programs: list[Program] = []

    def start(code: str, **given: Any) -> Program:
        programs.append(Program(code, **given))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()
