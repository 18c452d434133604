"""A rebuild puts tables that were made of the events in the place of the live ones."""

from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Thread
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from support import lives
from support.invariants import assert_consistent
from support.sequencing import catch_up
from support.waiting import eventually

from keyledger import InvalidArgument, KeyLedger, RebuildProgress, RebuildRefused, RebuiltProjection, Settings
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.rebuilding import live
from keyledger.infrastructure.rebuilding import rebuild as rebuilding
from keyledger.infrastructure.rebuilding.side_rows import SideRows
from keyledger.projections.sequenced import SequencedEvent
from keyledger.read_models import ALL

NAMES = [model.name for model in ALL]
TABLES = [table for model in ALL for table in model.tables]


@pytest.fixture
def admin(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to look at the tables with, and to harm them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def full(ledger: KeyLedger) -> KeyLedger:
    """A ledger with events of every kind, all of them in the read models."""
    lives.live(ledger)
    ledger.catch_up()
    return ledger


def only(ledger: KeyLedger, name: str, **options: Any) -> RebuiltProjection:
    (found,) = ledger.replay.rebuild(name, **options).projections
    return found


def leftovers(connection: psycopg.Connection) -> list[str]:
    query = (
        r"SELECT relname FROM pg_class WHERE relname LIKE '%\_\_new%' AND relnamespace = 'keyledger'::regnamespace"
    )
    return [name for (name,) in connection.execute(query)]


def shape(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Everything about the read models' tables but their rows, with all names."""
    query = """
        SELECT 'column', c.oid::regclass::text, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
            a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attacl::text
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.oid = ANY(%(tables)s)
        UNION ALL
        SELECT 'index', i.indrelid::regclass::text, 0, pg_get_indexdef(i.indexrelid), NULL, i.indisprimary, NULL,
            NULL
        FROM pg_index AS i WHERE i.indrelid = ANY(%(tables)s)
        UNION ALL
        SELECT 'constraint', c.conrelid::regclass::text, 0, c.conname, pg_get_constraintdef(c.oid), NULL, NULL,
            NULL
        FROM pg_constraint AS c WHERE c.conrelid = ANY(%(tables)s)
        UNION ALL
        SELECT 'table', c.oid::regclass::text, 0, pg_get_userbyid(c.relowner), c.reloptions::text, NULL, NULL, (
            SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(c.relacl) AS a
        )
        FROM pg_class AS c WHERE c.oid = ANY(%(tables)s)
        ORDER BY 1, 2, 3, 4
    """
    oids = [
        connection.execute("SELECT to_regclass(%s)::oid", [f"keyledger.{table}"]).fetchone() for table in TABLES
    ]
    return connection.execute(query, {"tables": [row[0] for row in oids if row]}).fetchall()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_made_of_the_events_is_what_was_there(
    full: KeyLedger, name: str, admin: psycopg.Connection, dsn: str
) -> None:
    before = admin.execute("SELECT 'keyledger.api_keys'::regclass::oid").fetchone()

    report = only(full, name)

    assert report.equal
    assert report.switched
    assert report.old_digest == report.new_digest
    assert report.events == report.compared_at == full.status().sequencer.position
    assert (admin.execute("SELECT 'keyledger.api_keys'::regclass::oid").fetchone() != before) == (
        name == "control"
    )
    assert not leftovers(admin)
    assert_consistent(dsn)


def test_all_read_models_are_rebuilt_unless_one_is_named(full: KeyLedger) -> None:
    assert [each.name for each in full.replay.rebuild().projections] == NAMES
    with pytest.raises(InvalidArgument, match="projection: one of 'control', 'usage'"):
        full.replay.rebuild("events")


def test_tables_indexes_constraints_and_privileges_have_the_same_names_and_forms_afterwards(
    new_database: Callable[[], str],
) -> None:
    dsn, role = new_database(), f"service_{uuid4().hex}"
    with psycopg.connect(dsn, autocommit=True) as connection, KeyLedger.open(dsn) as ledger:
        for statement in (
            "CREATE ROLE {role}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA keyledger GRANT SELECT, DELETE ON TABLES TO {role}, PUBLIC",
            "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA keyledger TO {role}",
            "GRANT UPDATE ON keyledger.api_keys, keyledger.key_usage TO {role} WITH GRANT OPTION",
            "GRANT UPDATE (entries) ON keyledger.history TO {role}",
            "GRANT SELECT ON keyledger.history TO PUBLIC",
            "ALTER TABLE keyledger.key_usage SET (fillfactor = 70)",
            "ALTER TABLE keyledger.api_keys ADD CONSTRAINT named CHECK (version > 0)",
        ):
            connection.execute(SQL(statement).format(role=Identifier(role)))
        lives.live(ledger)
        ledger.catch_up()
        before = shape(connection)

        for _ in range(2):
            ledger.replay.rebuild()
            assert shape(connection) == before


def test_rows_that_were_wrong_are_right_afterwards(full: KeyLedger, admin: psycopg.Connection, dsn: str) -> None:
    admin.execute("UPDATE keyledger.key_usage SET uses = uses + 1")
    admin.execute("DELETE FROM keyledger.history WHERE position = 2")
    admin.execute("UPDATE keyledger.api_keys SET scopes = '{all}' WHERE name LIKE 'Key 1%'")
    admin.execute("UPDATE keyledger.key_counts SET live = live + 1")

    report = full.replay.rebuild()

    assert not any(each.equal for each in report.projections)
    assert all(each.switched and each.old_digest != each.new_digest for each in report.projections)
    assert_consistent(dsn)
    assert all(each.equal for each in full.replay.rebuild().projections)


def test_the_worker_goes_on_where_the_new_tables_are(full: KeyLedger, dsn: str) -> None:
    full.replay.rebuild()
    lives.live(full, 3)

    full.catch_up()
    assert_consistent(dsn)


def test_progress_tells_each_batch(full: KeyLedger) -> None:
    told: list[RebuildProgress] = []

    report = only(full, "usage", progress=told.append)

    assert told
    assert told[-1] == RebuildProgress(projection="usage", position=report.events, head=report.events)


def test_a_second_rebuild_at_the_same_time_is_refused(full: KeyLedger, dsn: str) -> None:
    def meanwhile(_: RebuildProgress) -> None:
        with KeyLedger.open(dsn) as other, pytest.raises(RebuildRefused, match="'usage' is being rebuilt already"):
            other.replay.rebuild("usage")

    assert only(full, "usage", progress=meanwhile).equal


def test_one_that_another_has_taken_over_from_writes_nothing_more(
    full: KeyLedger, database: Database, admin: psycopg.Connection
) -> None:
    (model,) = (each for each in ALL if each.name == "history")
    former, later = SideRows(EventCodec(), model), SideRows(EventCodec(), model)
    database.run(former.begin)
    database.run(later.begin)

    for step in (former.position, former.compare, former.switch):
        with pytest.raises(RebuildRefused, match="another rebuild of the read model 'history' has taken over"):
            database.run(step)  # type: ignore[arg-type]
    database.run(former.abandon)

    assert admin.execute("SELECT count(*) FROM keyledger.history__new").fetchone() == (0,)
    assert database.run(later.position) == 0
    database.run(later.abandon)
    assert not leftovers(admin)


def test_a_switch_whose_answer_got_lost_is_not_done_twice(full: KeyLedger, database: Database) -> None:
    (model,) = (each for each in ALL if each.name == "usage")
    rows = SideRows(EventCodec(), model)
    database.run(rows.begin)
    database.run(rows.compare)

    assert database.run(rows.switch) == database.run(rows.switch) == full.status().sequencer.position


def test_what_an_earlier_one_left_behind_is_cleaned_away(full: KeyLedger, database: Database, dsn: str) -> None:
    for model in ALL:
        database.run(SideRows(EventCodec(), model).begin)  # and then its process was killed

    assert all(each.equal for each in full.replay.rebuild().projections)
    with psycopg.connect(dsn) as connection:
        assert not leftovers(connection)


def test_what_gets_its_position_in_the_middle_of_a_switch_is_in_the_new_rows(
    dsn: str, database: Database, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    threads: list[Thread] = []

    def meanwhile(*arguments: Any) -> Iterator[list[SequencedEvent]]:
        threads.append(Thread(target=catch_up, args=(dsn,)))
        threads[0].start()
        eventually(lambda: not threads[0].is_alive() or admin.execute(asked).fetchone())
        return live.waiting(*arguments)

    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        keys = lives.live(ledger, 3)
        rows = SideRows(EventCodec(), ALL[0])
        database.run(rows.begin)
        monkeypatch.setattr("keyledger.infrastructure.rebuilding.side_rows.waiting", meanwhile)

        database.run(rows.switch)

        threads[0].join()
        assert [ledger.api_keys.get(key.id).id for key in keys] == [key.id for key in keys]
    assert_consistent(dsn)


def test_a_role_that_does_not_own_the_tables_is_told_who_does(new_database: Callable[[], str]) -> None:
    dsn, role = new_database(), f"service_{uuid4().hex}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in (
            "CREATE ROLE {}",
            "GRANT ALL ON SCHEMA keyledger TO {}",
            "GRANT ALL ON ALL TABLES IN SCHEMA keyledger TO {}",
        ):
            connection.execute(SQL(statement).format(Identifier(role)))
    with KeyLedger.open(make_conninfo(dsn, options=f"-c role={role}")) as ledger:
        for name in NAMES:
            with pytest.raises(RebuildRefused, match="rebuilt by the role that runs `keyledger migrate`"):
                ledger.replay.rebuild(name)


@pytest.mark.parametrize("name", NAMES)
def test_it_waits_for_a_reader_that_holds_the_table_and_keeps_others_waiting_only_for_a_moment(
    full: KeyLedger, dsn: str, name: str
) -> None:
    (model,) = (each for each in ALL if each.name == name)
    with psycopg.connect(dsn) as reader, psycopg.connect(dsn, autocommit=True) as other:
        reader.execute(f"SELECT count(*) FROM keyledger.{model.tables[0]}".encode())
        done: list[RebuiltProjection] = []
        thread = Thread(target=lambda: done.append(only(full, name)))
        thread.start()
        waits = (
            "SELECT 1 FROM pg_locks JOIN pg_database AS d ON d.oid = database"
            " WHERE NOT granted AND mode = 'AccessExclusiveLock' AND datname = current_database()"
        )
        for _ in range(3):
            eventually(lambda: other.execute(waits).fetchone())
            other.execute(f"SELECT count(*) FROM keyledger.{model.tables[0]}".encode())
        assert not done
        reader.rollback()
        thread.join()
    assert done[0].equal


def test_one_that_never_gets_the_table_gives_up_and_leaves_nothing(
    full: KeyLedger, dsn: str, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "_SWITCH_PATIENCE_SECONDS", 0.3)
    with psycopg.connect(dsn) as reader:
        reader.execute("SELECT count(*) FROM keyledger.history")
        with pytest.raises(RebuildRefused, match=r"the tables of 'history' were in use for 0\.3 s on end"):
            full.replay.rebuild("history")

    assert not leftovers(admin)
    assert admin.execute("SELECT count(*) FROM keyledger.rebuilds").fetchone() == (0,)
    assert full.replay.verify_projections().ok


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE VIEW public.mine AS SELECT * FROM keyledger.history", "the view mine"),
        (
            "CREATE TRIGGER mine BEFORE INSERT ON keyledger.history"
            " FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "the trigger mine",
        ),
        ("CREATE POLICY mine ON keyledger.history", "the policy mine"),
        ("CREATE PUBLICATION mine FOR TABLE keyledger.history", "the publication mine"),
    ],
    ids=["view", "trigger", "policy", "publication"],
)
def test_one_whose_tables_somebody_else_built_on_is_refused_before_anything_is_made(
    new_database: Callable[[], str], statement: LiteralString, named: str
) -> None:
    dsn, told = new_database(), list[RebuildProgress]()
    with psycopg.connect(dsn, autocommit=True) as connection, KeyLedger.open(dsn) as ledger:
        lives.live(ledger, 1)
        ledger.catch_up()
        connection.execute(statement)
        with pytest.raises(RebuildRefused, match=f"the tables of 'history', and {named} on them would be gone"):
            ledger.replay.rebuild("history", progress=told.append)
    assert told == []


def test_events_without_a_position_are_in_the_keys_all_the_same(dsn: str) -> None:
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        keys = lives.live(ledger, 3)
        with closing(Database(dsn)) as database:
            rows = SideRows(EventCodec(), ALL[0])
            database.run(rows.begin)
            compared = database.run(rows.compare)
            assert compared.position == 0
            assert compared.old == compared.new
            assert database.run(rows.switch) == 0
        assert [ledger.api_keys.get(key.id).id for key in keys] == [key.id for key in keys]
        assert_consistent(dsn)
        assert only(ledger, "control").equal
