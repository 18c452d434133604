"""The runner applies events to read models: each once, in order, rows and position together."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from support import lives
from support.invariants import assert_consistent

from keyledger import KeyLedger, LedgerUnavailable, ProjectionStatus, Settings
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following import progress_status
from keyledger.infrastructure.following.read_model import Tables
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.read_models.usage import UsageModel
from keyledger.projections.sequenced import SequencedEvent

OTHERS = [model for model in READ_MODELS if model.name != "usage"]
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'keyledger' AND state = 'idle in transaction'"
)
SECRET = "ak_" + "0" * 32 + "A" * 60


class Choosy(UsageModel):
    """The usage read model, but some events it cannot take: it finds out when it has written its rows."""

    def __init__(self, *poison: int) -> None:
        self.poison = set(poison)

    def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
        super().apply(tables, state, events)
        if found := self.poison & {event.position for event in events}:
            raise ValueError(f"cannot take {min(found)}\nfor {SECRET}")
        return state


@pytest.fixture
def admin(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to look at the tables with, and to harm them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def head(dsn: str, database: Database) -> int:
    """The last position of events of every kind, which are in no read model yet."""
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        lives.live(ledger)
    return Sequencer(database).catch_up()


@pytest.fixture
def runner(database: Database) -> Runner:
    return Runner(database, EventCodec(), READ_MODELS)


def status(database: Database, name: str = "usage") -> ProjectionStatus:
    (found,) = (each for each in progress_status.projections(database) if each.name == name)
    return found


def run(runner: Runner, head: int) -> None:
    """Step each read model until it is at the head or has stopped."""
    for model in runner.read_models:
        while runner.step(model, head):
            pass


def usage_rows(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM keyledger.key_usage ORDER BY id").fetchall()


def test_it_brings_read_models_to_the_head_and_no_further(
    runner: Runner, database: Database, head: int, admin: psycopg.Connection, dsn: str
) -> None:
    run(runner, head - 3)
    assert {each.position for each in progress_status.projections(database)} == {head - 3}
    assert admin.execute("SELECT max(position) FROM keyledger.history").fetchone() == (head - 3,)

    run(runner, head)
    assert {each.position for each in progress_status.projections(database)} == {head}
    assert_consistent(dsn)


def test_it_stops_at_the_first_position_that_is_missing(
    runner: Runner, database: Database, head: int, admin: psycopg.Connection
) -> None:
    admin.execute("SET session_replication_role = replica")
    admin.execute("DELETE FROM keyledger.positions WHERE position = 5")

    run(runner, head)

    assert {(each.position, each.failure) for each in progress_status.projections(database)} == {(4, None)}


def test_rows_and_position_change_together_or_not_at_all(
    database: Database, head: int, admin: psycopg.Connection
) -> None:
    runner = Runner(database, EventCodec(), [Choosy(*range(1, head + 1))])

    run(runner, head)

    assert usage_rows(admin) == []
    assert status(database).position == 0


def test_of_two_that_stand_at_one_position_only_one_applies_the_events(
    runner: Runner, database: Database, head: int, admin: psycopg.Connection, dsn: str
) -> None:
    other = Runner(database, EventCodec(), READ_MODELS)
    for each in (runner, other):
        each.step(UsageModel(), 3)  # so that both know where the read model stands
    assert other.step(UsageModel(), head) == head - 3
    before = usage_rows(admin)

    assert runner.step(UsageModel(), head) == 0

    assert usage_rows(admin) == before
    assert_consistent(dsn)


def test_many_at_once_apply_each_event_once(database: Database, head: int, dsn: str) -> None:
    def work(_: int) -> None:
        runner = Runner(database, EventCodec(), READ_MODELS)
        for until in range(1, head + 1):
            runner.catch_up(until, *(model.name for model in READ_MODELS))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))

    assert_consistent(dsn)


def test_an_event_that_one_cannot_take_stops_it_just_before_and_no_other(
    database: Database, head: int, admin: psycopg.Connection
) -> None:
    poison = head // 2
    run(Runner(database, EventCodec(), [Choosy(poison), *OTHERS]), head)

    found = status(database)
    assert (found.position, found.failed_position, found.stopped) == (poison - 1, poison, True)
    assert found.failure == f"ValueError: cannot take {poison}"
    assert found.failed_at is not None
    assert {status(database, model.name).position for model in OTHERS} == {head}
    assert not any(status(database, model.name).stopped for model in OTHERS)


def test_the_events_before_it_are_applied_all_the_same(database: Database, head: int, dsn: str) -> None:
    run(Runner(database, EventCodec(), [Choosy(7, 12), *OTHERS]), head)
    assert status(database).position == 6

    Runner(database, EventCodec(), [Choosy(12)]).step(Choosy(12), head)
    assert status(database).position < 12

    assert_consistent(dsn)


def test_one_that_has_stopped_goes_on_when_the_event_can_be_taken(database: Database, head: int, dsn: str) -> None:
    model = Choosy(7)
    runner = Runner(database, EventCodec(), [model])
    run(runner, head)
    with pytest.raises(LedgerUnavailable, match="'usage' has stopped before position 7: ValueError"):
        runner.catch_up(head, "usage")

    model.poison.clear()
    runner.catch_up(head, "usage")

    found = status(database)
    assert (found.position, found.failed_position, found.failed_at, found.failure) == (head, None, None, None)
    assert_consistent(dsn)


def test_one_that_has_stopped_rests_and_is_tried_again(
    database: Database, head: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("keyledger.infrastructure.following.runner.time.monotonic", lambda: now[0])
    model = Choosy(7)
    runner = Runner(database, EventCodec(), [model])
    run(runner, head)
    model.poison.clear()

    assert runner.step(model, head) == 0
    now[0] += 10.0
    assert runner.step(model, head) > 0


def test_a_stop_is_logged_once_however_often_it_is_tried(
    database: Database, head: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = Choosy(7)
    runner = Runner(database, EventCodec(), [model])
    for _ in range(3):
        with pytest.raises(LedgerUnavailable):
            runner.catch_up(head, "usage")

    assert caplog.text.count("the read model 'usage' stopped before position 7") == 1


def test_why_it_stopped_is_told_without_a_secret(database: Database, head: int) -> None:
    class Talkative(Choosy):
        def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
            raise ValueError(f"it is {self.secret}")

        secret = ""

    with KeyLedger.open(database._conninfo, settings=Settings(background_worker=False)) as ledger:
        Talkative.secret = str(ledger.api_keys.create(name="loud", subject="org_1").secret)
    run(Runner(database, EventCodec(), [Talkative()]), head)

    told = status(database).failure
    assert told is not None
    assert told.startswith("ValueError: it is ")
    assert Talkative.secret not in told
    assert Talkative.secret[-20:] not in told


def test_an_event_that_cannot_be_decoded_stops_every_read_model_just_before_it(
    runner: Runner, database: Database, head: int, admin: psycopg.Connection
) -> None:
    admin.execute("SET session_replication_role = replica")
    admin.execute(
        "UPDATE keyledger.events AS e SET topic = 'KeyDreamed' FROM keyledger.positions AS p"
        " WHERE p.position = 5 AND (e.originator_id, e.originator_version)"
        " = (p.originator_id, p.originator_version)"
    )
    admin.execute("UPDATE keyledger.positions SET topic = 'KeyDreamed' WHERE position = 5")

    run(runner, head)
    run(runner, head)

    for each in progress_status.projections(database):
        assert (each.position, each.failed_position) == (4, 5)
        assert each.failure is not None
        assert "KeyDreamed" in each.failure


def test_one_of_another_version_is_left_alone(database: Database, head: int, admin: psycopg.Connection) -> None:
    class Newer(UsageModel):
        version = 2

    runner = Runner(database, EventCodec(), [Newer()])

    assert runner.step(Newer(), head) == 0
    with pytest.raises(LedgerUnavailable, match="'usage' is another keyledger's: versions differ"):
        runner.catch_up(head, "usage")
    assert usage_rows(admin) == []


def test_one_whose_tables_somebody_holds_waits_and_the_others_go_on(
    runner: Runner, database: Database, head: int, dsn: str
) -> None:
    with psycopg.connect(dsn) as holder:
        holder.execute("LOCK TABLE keyledger.key_usage")
        run(runner, head)
        found = status(database)
        assert (found.position, found.stopped) == (0, False)
        assert {status(database, model.name).position for model in OTHERS} == {head}

    runner.catch_up(head, "usage")
    assert_consistent(dsn)


def test_a_privilege_that_is_missing_is_told_with_what_is_needed(
    database: Database, head: int, admin: psycopg.Connection
) -> None:
    class Unprivileged(UsageModel):
        def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
            raise psycopg.errors.InsufficientPrivilege("permission denied for table key_usage")

    run(Runner(database, EventCodec(), [Unprivileged()]), head)

    found = status(database)
    assert found.failed_position == 1
    assert found.failure is not None
    assert "SELECT, INSERT, UPDATE and DELETE on keyledger.key_usage, keyledger.key_usage_days" in found.failure


class TestLag:
    """How far a read model is behind, in events and in seconds."""

    def test_at_the_head_there_is_none(self, runner: Runner, database: Database, head: int) -> None:
        run(runner, head)

        assert {(each.lag_events, each.lag_seconds) for each in progress_status.projections(database)} == {
            (0, 0.0)
        }

    def test_it_counts_the_events_that_are_lacked_since_the_first_of_them(
        self, runner: Runner, database: Database, head: int, admin: psycopg.Connection
    ) -> None:
        run(runner, head - 4)
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE keyledger.positions SET recorded_at = clock_timestamp() - interval '90 s' WHERE position = %s",
            [head - 3],
        )

        found = status(database)

        assert found.lag_events == 4
        assert 90 <= found.lag_seconds < 90 + 60

    def test_it_counts_those_too_that_have_no_position_yet(
        self, runner: Runner, database: Database, head: int, dsn: str, admin: psycopg.Connection
    ) -> None:
        run(runner, head)
        with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
            ledger.api_keys.create(name="new", subject="org_1")
            ledger.api_keys.create(name="newer", subject="org_1")
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE keyledger.events SET recorded_at = clock_timestamp() - interval '90 s' FROM keyledger.outbox"
            " AS o WHERE o.originator_id = events.originator_id"
        )

        found = status(database)

        assert found.lag_events == 2
        assert 90 <= found.lag_seconds < 90 + 60


def test_a_failure_of_the_database_is_no_fault_of_the_event(
    database: Database, head: int, admin: psycopg.Connection, dsn: str
) -> None:
    class Unlucky(UsageModel):
        unlucky = True

        def apply(self, tables: Tables, state: bytes | None, events: Sequence[SequencedEvent]) -> bytes | None:
            if self.unlucky:
                self.unlucky = False
                admin.execute(TERMINATE)
            return super().apply(tables, state, events)

    run(Runner(database, EventCodec(), [Unlucky()]), head)

    assert (status(database).position, status(database).failure) == (head, None)
    assert_consistent(dsn)
