"""A ledger says how far its read models have come and which have stopped, and works all the same."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from support import lives
from support.waiting import eventually

from keyledger import APIKey, KeyLedger, ProjectionStatus, Settings
from keyledger.infrastructure.following import runner

REFUSE = "ALTER TABLE keyledger.key_usage ADD CONSTRAINT few CHECK (uses < 3)"
TAKE = "ALTER TABLE keyledger.key_usage DROP CONSTRAINT few"


@pytest.fixture
def admin(new_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """A connection to a database of the test's own, whose usage read model can take few uses only."""
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(REFUSE)
        yield connection


@pytest.fixture
def sick(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyLedger]:
    """A ledger with a worker, in which an event has stopped the usage read model."""
    monkeypatch.setattr(runner, "STOPPED_SECONDS", 0.2)
    dsn = f"{admin.info.dsn} password={admin.info.password}"
    with KeyLedger.open(dsn, settings=Settings(flush_interval_seconds=0.05)) as ledger:
        for times in (1, 3):
            lives.use(ledger, ledger.api_keys.create(name=f"used {times}", subject="org_1"), times)
        eventually(lambda: usage(ledger).stopped)
        yield ledger


@pytest.fixture
def key(sick: KeyLedger) -> APIKey:
    return sick.api_keys.create(name="another", subject="org_1")


def usage(ledger: KeyLedger) -> ProjectionStatus:
    (found,) = (each for each in ledger.status().projections if each.name == "usage")
    return found


def test_a_ledger_that_keeps_up_is_well(ledger: KeyLedger) -> None:
    lives.live(ledger, 2)
    ledger.catch_up()

    found = ledger.status()

    assert (found.health, found.problems) == ("ok", ())
    assert {(each.lag_events, each.stopped) for each in found.projections} == {(0, False)}


def test_a_read_model_that_an_event_has_stopped_is_named_with_the_reason(sick: KeyLedger) -> None:
    found = sick.status()

    assert found.health == "degraded"
    (problem,) = found.problems
    assert problem.startswith("the read model 'usage' has stopped before position 4: CheckViolation: new row for")
    assert (usage(sick).position, usage(sick).failed_position, usage(sick).lag_events) == (3, 4, 1)
    assert usage(sick).lag_seconds > 0


def test_the_other_read_models_go_on(sick: KeyLedger, key: APIKey) -> None:
    def others() -> set[int]:
        return {each.position for each in sick.status().projections if each.name != "usage"}

    eventually(lambda: others() == {5})
    assert sick.api_keys.get_all(subject="org_1").total_count == 3
    assert [entry.api_key_id for entry in sick.audit.history(page_size=1).entries] == [key.id]


def test_verifying_changing_and_revoking_go_on(sick: KeyLedger, key: APIKey) -> None:
    assert sick.verify(str(key.secret)).valid
    assert sick.api_keys.update(key.id, description="new").description == "new"
    assert sick.api_keys.revoke(key.id, revocation_reason="enough").revoked
    assert sick.verify(str(key.secret)).code == "revoked"


def test_it_goes_on_by_itself_once_the_event_can_be_taken(sick: KeyLedger, admin: psycopg.Connection) -> None:
    admin.execute(TAKE)
    lives.use(sick, sick.api_keys.create(name="another", subject="org_1"), 3)

    eventually(lambda: sick.status().health == "ok" and not usage(sick).lag_events)
    assert sick.replay.verify_projections().ok


def test_a_read_model_that_lags_for_long_is_a_problem(dsn: str) -> None:
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        lives.live(ledger, 1)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("UPDATE keyledger.events SET recorded_at = recorded_at - interval '1 hour'")

        found = ledger.status()

        assert found.health == "degraded"
        assert "the read model 'usage' lacks" in found.problems[-1]
        assert "is a process with a background worker running?" in found.problems[-1]
        ledger.catch_up()
        assert ledger.status().health == "ok"
