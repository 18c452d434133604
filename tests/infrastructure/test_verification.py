"""Verifying compares each row of every read model with what the events make it, and names the first difference."""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from support.lives import live

from keyledger import APIKey, Difference, KeyLedger, RebuildProgress, Settings, UnreadableEvent, VerifiedProjection
from keyledger.domain.ids import parse_key_id
from keyledger.infrastructure.read_models import READ_MODELS


@pytest.fixture
def admin(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to change rows with."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def keys(ledger: KeyLedger) -> list[APIKey]:
    """Keys with events of every kind, all of them in the read models."""
    made = live(ledger)
    ledger.catch_up()
    return made


def found(ledger: KeyLedger, name: str) -> VerifiedProjection:
    """What a verification says of one read model, given that it says nothing against the others."""
    report = ledger.replay.verify_projections()
    assert [each.name for each in report.projections] == ["control", *(model.name for model in READ_MODELS)]
    assert not any(each.differing for each in report.projections if each.name != name)
    (verified,) = (each for each in report.projections if each.name == name)
    assert report.ok == (not verified.differing)
    return verified


def difference(ledger: KeyLedger, name: str) -> Difference:
    verified = found(ledger, name)
    assert verified.difference is not None
    return verified.difference


def test_rows_that_are_what_the_events_make_them_pass(ledger: KeyLedger, keys: list[APIKey]) -> None:
    verified = found(ledger, "control")

    assert (verified.rows, verified.differing, verified.difference) == (len(keys), 0, None)
    assert verified.position == ledger.status().sequencer.position


def test_a_changed_value_is_named_with_what_it_should_be(
    ledger: KeyLedger, keys: list[APIKey], admin: psycopg.Connection
) -> None:
    first = min(parse_key_id(key.id) for key in keys)
    admin.execute("UPDATE keyledger.key_usage SET refused = 77 WHERE id = %s", [first])

    assert difference(ledger, "usage") == Difference(
        table="key_usage", key={"id": str(first)}, column="refused", expected=0, found=77
    )


def test_of_several_differences_the_first_by_key_is_named_and_all_are_counted(
    ledger: KeyLedger, keys: list[APIKey], admin: psycopg.Connection
) -> None:
    admin.execute("UPDATE keyledger.api_keys SET description = 'forged'")

    verified = found(ledger, "control")

    assert verified.differing == len(keys)
    assert verified.difference is not None
    assert verified.difference.key == {"id": str(min(parse_key_id(key.id) for key in keys))}
    assert (verified.difference.column, verified.difference.found) == ("description", "forged")


def test_a_row_that_is_missing_is_named(ledger: KeyLedger, keys: list[APIKey], admin: psycopg.Connection) -> None:
    admin.execute("DELETE FROM keyledger.history WHERE position = 3")

    named = difference(ledger, "history")

    assert (named.key["position"], named.column, named.found) == (3, None, None)
    assert named.expected["originator_version"] == 1 or named.expected["topic"] != "KeyCreated"


def test_a_row_that_nothing_explains_is_named(
    ledger: KeyLedger, keys: list[APIKey], admin: psycopg.Connection
) -> None:
    forged = uuid4()
    admin.execute("INSERT INTO keyledger.key_usage_days VALUES (%s, '2026-01-02', 1, 0)", [forged])

    named = difference(ledger, "usage")

    assert (named.table, named.key, named.column, named.expected) == (
        "key_usage_days",
        {"id": str(forged), "day": "2026-01-02"},
        None,
        None,
    )


def test_a_forged_digest_is_found_and_not_shown(
    ledger: KeyLedger, keys: list[APIKey], admin: psycopg.Connection
) -> None:
    admin.execute("UPDATE keyledger.api_keys SET digest = '\\x00'")

    named = difference(ledger, "control")

    assert (named.column, named.expected, named.found) == ("digest", "(not shown)", "(not shown)")


def test_values_that_only_look_equal_differ(
    ledger: KeyLedger, keys: list[APIKey], admin: psycopg.Connection
) -> None:
    admin.execute("UPDATE keyledger.api_keys SET name_search = name_search || ' ' WHERE name LIKE 'Key 0%'")

    assert difference(ledger, "control").column == "name_search"


def test_a_read_model_that_stands_behind_is_compared_where_it_stands(dsn: str, admin: psycopg.Connection) -> None:
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        live(ledger, 2)
        ledger.catch_up()
        position = ledger.status().sequencer.position
        live(ledger, 2)

        report = ledger.replay.verify_projections()

    assert report.ok
    assert [each.position for each in report.projections if each.name != "control"] == [position] * len(
        READ_MODELS
    )


def test_an_event_that_cannot_be_read_any_more_is_named(
    ledger: KeyLedger, keys: list[APIKey], admin: psycopg.Connection
) -> None:
    admin.execute("SET session_replication_role = replica")
    admin.execute(
        "UPDATE keyledger.events AS e SET state = '' FROM keyledger.positions AS p"
        " WHERE p.position = 2 AND e.originator_id = p.originator_id"
        " AND e.originator_version = p.originator_version"
    )

    with pytest.raises(UnreadableEvent, match="position 2"):
        ledger.replay.verify_projections()


def test_progress_tells_each_batch(ledger: KeyLedger, keys: list[APIKey]) -> None:
    told: list[RebuildProgress] = []

    ledger.replay.verify_projections(progress=told.append)

    assert [each.projection for each in told] == ["control", *(model.name for model in READ_MODELS)]
    assert all(each.position == each.head for each in told)


def test_it_needs_no_more_than_to_read_and_to_make_temporary_tables(new_database: Callable[[], str]) -> None:
    dsn, role = new_database(), f"auditor_{uuid4().hex}"
    with psycopg.connect(dsn, autocommit=True) as connection, KeyLedger.open(dsn) as ledger:
        for statement in (
            "CREATE ROLE {}",
            "GRANT USAGE ON SCHEMA keyledger TO {}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA keyledger TO {}",
        ):
            connection.execute(SQL(statement).format(Identifier(role)))
        live(ledger, 2)
        ledger.catch_up()
    auditor = make_conninfo(dsn, options=f"-c role={role}")
    with KeyLedger.open(auditor, settings=Settings(background_worker=False)) as ledger:
        assert ledger.replay.verify_projections().ok


def test_it_finds_nothing_wrong_while_writers_the_worker_and_rebuilds_go_on(ledger: KeyLedger, dsn: str) -> None:
    over, failures = Event(), list[Any]()

    def write() -> None:
        while not over.is_set():
            live(ledger, 3)

    def rebuild() -> None:
        while not over.is_set():
            ledger.replay.rebuild()

    def kept(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Exception as error:
                failures.append(error)

        return run

    threads = [Thread(target=kept(work)) for work in (write, write, rebuild)]
    for thread in threads:
        thread.start()
    reports = [ledger.replay.verify_projections() for _ in range(6)]
    over.set()
    for thread in threads:
        thread.join()

    assert not failures
    assert [report.projections for report in reports if not report.ok] == []
