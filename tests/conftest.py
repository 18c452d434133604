"""One PostgreSQL server for the whole run, a database for each worker, emptied after each test."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL

from keyledger import KeyLedger, Settings
from keyledger.infrastructure import schema
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.embedded import EmbeddedServer
from keyledger.infrastructure.read_models import READ_MODELS

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
TABLES = (
    *(
        "events",
        "outbox",
        "positions",
        "api_keys",
        "idempotency_keys",
        "flushes",
        "peppers",
        "rebuilds",
        "verifiers",
        "barriers",
    ),
    *(table for model in READ_MODELS for table in model.tables),
)
# A developer's own ledger is none of the tests' business, and unbuffered programs are not what users run.
for name in (
    "KEYLEDGER_DSN",
    "KEYLEDGER_DATA_DIR",
    "KEYLEDGER_PEPPERS",
    "KEYLEDGER_SPOOL_DIR",
    "PYTHONUNBUFFERED",
):
    os.environ.pop(name, None)

# A shell's background job ignores Ctrl-C, and so would every program that a test starts to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)

QUICK = Settings(flush_interval_seconds=0.05)


def execute(dsn: str, *statements: str | SQL) -> None:
    """Run statements on a connection of their own, each committed at once."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement if isinstance(statement, SQL) else statement.encode())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The server that all workers lease; the last one to end stops it."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    root = tmp_path_factory.getbasetemp()
    server = EmbeddedServer.acquire((root.parent if worker else root) / "pg", options=FAST)
    yield server
    server.release()


@pytest.fixture(scope="session", autouse=True)
def spool_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the ledgers of all tests, and the programs they start, keep what they have of uses."""
    path = tmp_path_factory.mktemp("spool")
    os.environ["KEYLEDGER_SPOOL_DIR"] = str(path)
    yield path
    os.environ.pop("KEYLEDGER_SPOOL_DIR")


@pytest.fixture(scope="session")
def template(server: EmbeddedServer) -> str:
    """The name of a migrated database to clone, made once for each worker."""
    name = f"template_{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}"
    execute(server.conninfo, f"CREATE DATABASE {name}")
    database = Database(make_conninfo(server.conninfo, dbname=name))
    schema.migrate(database)
    database.close()
    return name


@pytest.fixture(scope="session")
def new_database(server: EmbeddedServer, template: str) -> Callable[[], str]:
    """Makes a migrated database and returns its DSN: for DDL, killed sessions, anything that leaves traces."""

    def new() -> str:
        name = f"db_{uuid4().hex}"
        execute(server.conninfo, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
        dsn = make_conninfo(server.conninfo, dbname=name)
        execute(dsn, "UPDATE keyledger.ledger SET ledger_id = gen_random_uuid()")  # a copy is another ledger here
        return dsn

    return new


@pytest.fixture(scope="session")
def worker_dsn(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def dsn(worker_dsn: str) -> Iterator[str]:
    """A migrated, empty database. The triggers that refuse DELETE are off for the emptying only."""
    yield worker_dsn
    deletes = [f"DELETE FROM keyledger.{table}" for table in TABLES]
    resets = (
        "UPDATE keyledger.sequencer SET position = 0, epoch = 0, holder = NULL, held_until = NULL",
        "UPDATE keyledger.projections SET position = 0, state = NULL, failed_position = NULL, failure = NULL",
    )
    execute(worker_dsn, "SET session_replication_role = replica", *deletes, *resets)


@pytest.fixture
def empty_dsn(server: EmbeddedServer) -> Iterator[str]:
    """A database that knows nothing of keyledger."""
    name = f"empty_{uuid4().hex}"
    execute(server.conninfo, f"CREATE DATABASE {name}")
    yield make_conninfo(server.conninfo, dbname=name)
    execute(server.conninfo, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def open_ledger(dsn: str) -> Iterator[Callable[..., KeyLedger]]:
    """Opens ledgers that are closed after the test."""
    with ExitStack() as stack:

        def opened(settings: Settings = QUICK) -> KeyLedger:
            return stack.enter_context(KeyLedger.open(dsn, settings=settings))

        yield opened


@pytest.fixture
def ledger(open_ledger: Callable[..., KeyLedger]) -> KeyLedger:
    """A ledger on an empty database, which stores uses within a twentieth of a second."""
    return open_ledger()


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """The database below a ledger."""
    database = Database(dsn)
    yield database
    database.close()
