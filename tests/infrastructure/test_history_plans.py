"""The plans of the history's queries, on a table so large and so uneven that anything but the index would show.

Ten events a second. Everything of OLD lies in the oldest quarter of the events, and there is much of it: by the
statistics it is everywhere, so a planner that has the choice walks other rows until it meets some of it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from support.streams import created, revoked, updated

from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.history_view import HistoryFilter, HistoryView, Place

pytestmark = pytest.mark.xdist_group("history_plans")

EVENTS = 200_000
ENTRIES = 50
MOST_ROWS = 3_000
MOST_PAGES = 3_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OLD = UUID(int=7)
FILL = """
WITH made AS (
    SELECT
        n AS position, old,
        CASE WHEN old THEN %(old)s ELSE md5((n %% 5000)::text)::uuid END AS key,
        n AS version,
        CASE WHEN n %% 10 < 7 THEN 'KeyUsed' WHEN n %% 10 < 8 THEN 'KeyCreated' WHEN n %% 10 < 9 THEN 'KeyUpdated'
            ELSE 'KeyRevoked' END AS topic,
        %(begin)s::timestamptz + n * interval '0.1s' AS at
    FROM generate_series(1, %(events)s) AS n
    CROSS JOIN LATERAL (SELECT n < %(events)s / 4 AND n %% 3 > 0) AS o (old)
), appended AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state, recorded_at, subject)
    SELECT
        key, version, topic,
        CASE topic
            WHEN 'KeyUsed' THEN %(KeyUsed)s::bytea WHEN 'KeyCreated' THEN %(KeyCreated)s::bytea
            WHEN 'KeyUpdated' THEN %(KeyUpdated)s::bytea ELSE %(KeyRevoked)s::bytea
        END,
        at, 'org'
    FROM made
)
INSERT INTO keyledger.history
SELECT
    position, key, version, topic,
    CASE WHEN old THEN 'org_old' ELSE 'org_' || n %% 1000 END,
    actor.user_id, actor.organization_id, actor.address, actor.request_id,
    at, at, at, position %% 10000 = 0, 1, false,
    actor.credential_id
FROM made
CROSS JOIN LATERAL (SELECT position AS n) AS number
CROSS JOIN LATERAL (
    SELECT CASE WHEN topic <> 'KeyUsed' THEN CASE WHEN old THEN 'old' ELSE (n %% 1000)::text END END AS name
) AS named
CROSS JOIN LATERAL (
    SELECT name, name, name, name, name
) AS actor (user_id, organization_id, address, request_id, credential_id)
"""
OLDS: dict[str, Any] = {
    "originator_id": OLD,
    "subject": "org_old",
    "user_id": "old",
    "organization_id": "old",
    "ip_address": "old",
    "request_id": "old",
    "credential_id": "old",
}
INDEXES = {
    "originator_id": "history_stream",
    "subject": "history_subject",
    "user_id": "history_user",
    "organization_id": "history_organization",
    "ip_address": "history_address",
    "request_id": "history_request",
    "credential_id": "history_credential",
}
LATEST = BEGIN + timedelta(seconds=EVENTS / 10)
MIDDLE = {"since": BEGIN + timedelta(seconds=9_000), "until": BEGIN + timedelta(seconds=9_060)}
TIMES: list[dict[str, Any]] = [
    {"since": LATEST - timedelta(seconds=30)},
    {"until": BEGIN + timedelta(seconds=30)},
    {"since": BEGIN, "until": BEGIN + timedelta(seconds=1)},
    MIDDLE,
]


class Explained(HistoryView):
    """Keeps the plans of what it reads."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, EventCodec())
        self.plans: list[dict[str, Any]] = []

    def _rows(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        ((plan,),) = self._database.run(
            lambda connection: connection.execute(explain, parameters, prepare=False).fetchall()
        )
        self.plans.append((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
        return super()._rows(statement, parameters)


@pytest.fixture(scope="module")
def filled(new_database: Callable[[], str]) -> Iterator[Database]:
    """The table, whose key 7 and the like are OLD."""
    dsn = new_database()
    use = RecordedUse(occurred_at=BEGIN, outcome="valid", use=Use())
    events = [created(), updated(description="new"), revoked(), KeyUsed.of([use], id=new_uuid())]
    states = {event.topic: EventCodec().encode(event) for event in events}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP INDEX keyledger.events_one_revocation")  # keys here are only numbers
        connection.execute(FILL, {"begin": BEGIN, "events": EVENTS, "old": OLD, **states})
        connection.execute("UPDATE keyledger.projections SET position = %s", [EVENTS])
        connection.execute("ANALYZE keyledger.history, keyledger.events")
    database = Database(dsn, timeout_seconds=30)
    yield database
    database.close()


@pytest.fixture
def view(filled: Database) -> Explained:
    return Explained(filled)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def assert_cheap(view: Explained) -> set[str]:
    """No table is read but by an index, and of no index much; returns the indexes."""
    indexes: set[str] = set()
    for plan in view.plans:
        found = list(nodes(plan))
        assert "Seq Scan" not in {node["Node Type"] for node in found}
        bitmaps = [node for node in found if node["Node Type"] == "Bitmap Index Scan"]
        assert {node["Index Name"] for node in bitmaps} <= {"history_stray"}, "a bitmap knows no order"
        read = 0
        for node in found:
            if "Index Name" in node:
                indexes.add(node["Index Name"])
                rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                read += (rows + node.get("Rows Removed by Index Recheck", 0)) * node["Actual Loops"]
        assert read <= MOST_ROWS, f"{read} rows were read"
        pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        assert pages <= MOST_PAGES, f"{pages} pages were read"
    return indexes


def read(view: Explained, wanted: HistoryFilter, *, descending: bool = True, place: Place | None = None) -> int:
    """Reads a page; returns how many events it has."""
    start = place or Place(position=EVENTS if descending else 0)
    return len(view.read(wanted, view.span(wanted), start, descending=descending, entries=ENTRIES).events)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("column", OLDS)
def test_each_filter_is_walked_along_its_own_index_and_no_other(
    view: Explained, column: str, descending: bool
) -> None:
    assert read(view, HistoryFilter(**{column: OLDS[column]}), descending=descending) >= ENTRIES

    assert assert_cheap(view) == {INDEXES[column], "events_pkey", "projections_pkey"}


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("topics", [None, ("KeyUsed",), ("KeyCreated", "KeyRevoked")])
def test_no_filter_but_event_types_is_walked_along_the_primary_key(
    view: Explained, topics: tuple[str, ...] | None, descending: bool
) -> None:
    wanted = HistoryFilter(topics=topics) if topics else HistoryFilter()
    assert read(view, wanted, descending=descending) >= ENTRIES

    assert assert_cheap(view) == {"history_pkey", "events_pkey", "projections_pkey"}


@pytest.mark.parametrize("column", OLDS)
def test_a_filter_with_event_types_passes_over_all_other_events(view: Explained, column: str) -> None:
    wanted = HistoryFilter(**{column: OLDS[column]}, topics=("KeyRevoked",))
    assert read(view, wanted) >= ENTRIES

    assert INDEXES[column] in assert_cheap(view)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("column", [None, *OLDS])
def test_a_span_of_time_is_a_span_of_positions(
    view: Explained, times: dict[str, Any], column: str | None, descending: bool
) -> None:
    filters = {column: OLDS[column]} if column else {}
    read(view, HistoryFilter(**filters, **times), descending=descending)

    found = assert_cheap(view)
    assert "history_high" in found
    assert (INDEXES[column] if column else "history_pkey") in found


@pytest.mark.parametrize(
    "pair",
    [
        ("originator_id", "subject"),
        ("subject", "user_id"),
        ("user_id", "organization_id"),
        ("subject", "credential_id"),
    ],
)
def test_two_filters_that_go_together_cost_no_more_than_one(view: Explained, pair: tuple[str, str]) -> None:
    assert read(view, HistoryFilter(**{column: OLDS[column] for column in pair})) >= ENTRIES

    assert_cheap(view)


@pytest.mark.parametrize(
    "filters",
    [
        {"originator_id": OLD, "subject": "org_5"},
        {"originator_id": UUID(int=8), "subject": "org_old"},
        {"subject": "org_old", "user_id": "5"},
        {"subject": "org_5", "user_id": "old"},
        {"user_id": "old", "organization_id": "5"},
        {"user_id": "5", "request_id": "old"},
        {"subject": "org_5", "credential_id": "old"},
        {"user_id": "old", "credential_id": "5"},
    ],
)
def test_of_two_filters_that_exclude_each_other_the_one_with_fewer_events_is_walked(
    view: Explained, filters: dict[str, Any]
) -> None:
    assert read(view, HistoryFilter(**filters)) == 0

    assert_cheap(view)


def test_an_actor_is_not_looked_for_among_uses(view: Explained) -> None:
    assert read(view, HistoryFilter(originator_id=OLD, user_id="5")) == 0
    assert read(view, HistoryFilter(user_id="old", topics=("KeyUsed",))) == 0

    assert_cheap(view)


def test_a_page_far_from_either_end_costs_what_the_first_one_does(view: Explained) -> None:
    for column in OLDS:
        wanted = HistoryFilter(**{column: OLDS[column]})
        for descending in (True, False):
            read(view, wanted, descending=descending, place=Place(position=EVENTS // 8))

    assert_cheap(view)
