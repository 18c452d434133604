"""The process that gives positions and keeps the read models is killed, or stopped, between any two steps."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from support import lives, usage_rows
from support.invariants import assert_consistent
from support.program import Program
from support.sequencing import catch_up, positioned
from support.waiting import eventually

from keyledger import KeyLedger, Settings
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer

STEPS = """
import signal
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.read_models.usage import UsageModel
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer

KINDS = {
    "exchange with the server": (DeadlineConnection, "wait"),
    "call of the database": (Database, "run"),
    "fold": (UsageModel, "apply"),
}

def interrupt(kind, step, number):
    '''Send this process a signal just before the step-th time that it does such a thing.'''
    owner, name = KINDS[kind]
    original, done = getattr(owner, name), 0
    def counted(*args, **given):
        nonlocal done
        done += threading.current_thread() is threading.main_thread()
        if done == step:
            done += 1
            os.kill(os.getpid(), number)
        return original(*args, **given)
    setattr(owner, name, counted)

def work(*interruption):
    database = Database(dsn, timeout_seconds=0.5 if interruption[2] == signal.SIGSTOP else 20.0)
    sequencer, runner = Sequencer(database), Runner(database, EventCodec(), READ_MODELS)
    if interruption[2] == signal.SIGKILL:
        interrupt(*interruption)
        assert sequencer.claim()
    else:
        assert sequencer.claim()
        interrupt(*interruption)
    while sequencer.step(limit=3) + sum([runner.step(model, sequencer.head) for model in READ_MODELS]):
        pass
    sequencer.release()

while (interruption := hear()) is not None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(*interruption)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        say("stopped")
        hear()
        os.kill(child, signal.SIGCONT)
        status = os.waitpid(child, 0)[1]
    say("killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
"""


@pytest.fixture
def ledger(dsn: str) -> Iterator[KeyLedger]:
    """A ledger whose events wait for the program."""
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        yield ledger


@pytest.fixture
def admin(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def program(start: Callable[..., Program], dsn: str) -> Program:
    return start(STEPS, dsn=dsn)


def free_role(connection: psycopg.Connection) -> None:
    """As time does."""
    connection.execute("UPDATE keyledger.sequencer SET held_until = NULL")


def row(connection: psycopg.Connection) -> tuple[Any, ...]:
    """The sequencer's row, but until when it is held."""
    ((*found,),) = connection.execute("SELECT position, epoch, holder FROM keyledger.sequencer").fetchall()
    return tuple(found)


def assert_sound(dsn: str) -> None:
    """Positions are dense, and each read model holds what is before its own position, and nothing else."""
    positioned(dsn)
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        usage_rows.assert_folded(connection)
        history = connection.execute("""
            SELECT p.position = coalesce(max(h.position), 0) AND p.position = count(h.position)
            FROM keyledger.projections AS p LEFT JOIN keyledger.history AS h ON true
            WHERE p.name = 'history' GROUP BY p.position
        """)
        assert history.fetchone() == (True,)


def test_killed_between_any_two_steps_it_loses_nothing_and_does_nothing_twice(
    ledger: KeyLedger, dsn: str, program: Program, admin: psycopg.Connection
) -> None:
    step, found = 0, "killed"
    while found == "killed":
        step += 1
        lives.live(ledger, 1)
        free_role(admin)
        program.tell(["exchange with the server", step, signal.SIGKILL])
        found = program.says()
        eventually(lambda: nobody_else_is_connected(admin))
        assert_sound(dsn)

    assert found == 0
    assert step > 20
    assert_consistent(dsn)
    assert ledger.replay.verify_projections().ok


def nobody_else_is_connected(connection: psycopg.Connection) -> bool:
    """Whether the server has noticed that the process is gone; the ledger's own sessions are at rest."""
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'keyledger' AND state <> 'idle'
    """
    return connection.execute(query).fetchone() == (0,)


def test_stopped_between_any_two_steps_and_resumed_it_writes_nothing_when_another_has_taken_over(
    ledger: KeyLedger, database: Database, dsn: str, program: Program, admin: psycopg.Connection
) -> None:
    step, found = 0, "stopped"
    while found == "stopped":
        step += 1
        lives.live(ledger, 1)
        free_role(admin)
        program.tell(["call of the database", step, signal.SIGSTOP])
        found = program.says()
        if found == "stopped":
            free_role(admin)
            other = Sequencer(database)
            assert other.claim()
            other.step()
            catch_up(dsn)
            lives.live(ledger, 1)
            before = row(admin)
            program.tell("go on")
            assert program.says() == 0
            assert row(admin) == before
            assert_sound(dsn)

    assert step > 5
    assert_consistent(dsn)
    assert ledger.replay.verify_projections().ok


def test_stopped_in_the_middle_of_a_batch_it_holds_up_nobody_for_long_and_writes_nothing_when_resumed(
    ledger: KeyLedger, dsn: str, program: Program
) -> None:
    lives.live(ledger, 2)
    program.tell(["fold", 1, signal.SIGSTOP])
    assert program.says() == "stopped"

    position = catch_up(dsn)  # PostgreSQL ends the session of one that stays away in a transaction
    program.tell("go on")

    assert program.says() in (0, 1)
    assert positioned(dsn) == position
    assert_sound(dsn)
    assert_consistent(dsn)
