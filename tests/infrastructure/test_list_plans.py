"""The plans of lists and searches, on a table so large that anything but the right index would show."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal
from support import many_keys
from support.many_keys import LARGE, MIDDLE, RARE, SMALL

from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.key_search import KeySearch
from keyledger.infrastructure.key_view import _TREE, KeyViews
from keyledger.infrastructure.queries import QUERIES

pytestmark = pytest.mark.xdist_group("list_plans")

KEYS = 60_000
TIMES = 20
MOST_PAGES = 400
TABLES = {"api_keys", "listed_keys", "key_counts"}


@pytest.fixture(scope="module")
def filled(new_database: Callable[[], str]) -> str:
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        many_keys.fill(connection, KEYS)
    return dsn


@pytest.fixture
def database(filled: str) -> Iterator[Database]:
    """All that is asked is asked in one session."""
    database = Database(filled, max_connections=1, timeout_seconds=30)
    yield database
    database.close()


def arguments(subject: str, term: str | None, *, offset: int = 0, include_invalid: bool = False) -> dict[str, Any]:
    return {"subject": subject, "query": term, "offset": offset, "limit": 10, "include_invalid": include_invalid}


def parameters(subject: str, term: str | None, **options: Any) -> dict[str, Any]:
    search = KeySearch.of(term) if term else None
    return {
        **arguments(subject, term, **options),
        **_TREE,
        "type": None,
        "pattern": search and search.pattern,
        "grams": search and search.grams,
    }


def prepared(database: Database) -> dict[str, tuple[str, int, int]]:
    """The statements that the session has prepared: their names there, generic and custom plans so far."""

    def read(connection: DeadlineConnection) -> list[Any]:
        return connection.execute(
            "SELECT statement, name, generic_plans, custom_plans FROM pg_prepared_statements"
        ).fetchall()

    ours = {re.sub(r"%\(\w+\)[sb]", "?", text): name for name, text in QUERIES.items()}
    found = {re.sub(r"\$\d+", "?", row[0]): row[1:] for row in database.run(read)}
    return {ours[text]: row for text, row in found.items() if text in ours}


def generic_plan(database: Database, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The plan that is kept for any parameters, as it went with these."""
    order = dict.fromkeys(re.findall(r"%\((\w+)\)[sb]", QUERIES[name]))

    def explain(connection: DeadlineConnection) -> Any:
        connection.execute(QUERIES[name], given, prepare=True)
        return connection.execute(
            SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {} ({})").format(
                Identifier(session_name), SQL(", ").join(Literal(given[each]) for each in order)
            ),
            prepare=False,
        ).fetchone()

    database.run(lambda connection: connection.execute(QUERIES[name], given, prepare=True))
    session_name = prepared(database)[name][0]
    database.run(lambda connection: connection.execute("SET plan_cache_mode = force_generic_plan"))
    try:
        return dict(database.run(explain)[0][0]["Plan"])
    finally:
        database.run(lambda connection: connection.execute("SET plan_cache_mode = auto"))


def custom_plan(database: Database, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The plan that is made for these parameters alone, as it went."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {QUERIES[name]}"
    return dict(
        database.run(lambda connection: connection.execute(explain, given, prepare=False).fetchone())[0][0]["Plan"]  # type: ignore[index]
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def indexes(plan: dict[str, Any], most_pages: int = MOST_PAGES) -> set[str]:
    """The indexes of a plan that reads no table of keys without one, and few pages in all."""
    found = list(nodes(plan))
    assert not {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"} & TABLES
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= most_pages
    return {node["Index Name"] for node in found if "Index Name" in node}


@pytest.mark.parametrize("plan", [custom_plan, generic_plan])
@pytest.mark.parametrize("include_invalid", [True, False])
@pytest.mark.parametrize("offset", [0, KEYS // 3, 0.999])
def test_any_page_of_a_large_subject_is_found_by_the_counts(
    database: Database, plan: Callable[..., dict[str, Any]], offset: float, include_invalid: bool
) -> None:
    options: dict[str, Any] = {"offset": 0, "include_invalid": include_invalid}
    total = KeyViews(database).page(**arguments(LARGE, None, **options))[1]
    options["offset"] = int(total * offset) if offset < 1 else offset

    found = indexes(plan(database, "list_many_keys", parameters(LARGE, None, **options)))

    assert {"api_keys_subject", "key_counts_pkey"} <= found


@pytest.mark.parametrize("plan", [custom_plan, generic_plan])
@pytest.mark.parametrize("subject", [LARGE, SMALL, "unknown"])
def test_what_looks_for_few_keys_reads_no_more_than_a_few(
    database: Database, plan: Callable[..., dict[str, Any]], subject: str
) -> None:
    assert indexes(plan(database, "list_few_keys", parameters(subject, None))) >= {"key_counts_pkey"}


@pytest.mark.parametrize("term", [RARE, RARE[1], RARE[0], "7f3a2", "absent", f"export {'x' * 50}"])
def test_a_search_of_a_large_subject_goes_by_the_grams(database: Database, term: str) -> None:
    found = indexes(custom_plan(database, "search_keys", parameters(LARGE, term)))

    assert "api_keys_grams" in found
    assert "api_keys_subject" not in found


def test_a_search_for_what_most_names_hold_reads_the_subject_and_not_all_that_match(database: Database) -> None:
    plan = custom_plan(database, "search_keys", parameters(MIDDLE, "export"))

    assert "api_keys_subject" in indexes(plan, many_keys.MIDDLE_KEYS + MOST_PAGES)


def test_searches_are_planned_each_time_and_what_finds_few_keys_is_not(database: Database) -> None:
    for _ in range(TIMES):
        KeyViews(database).page(**arguments(LARGE, RARE))

    found = prepared(database)
    assert "search_keys" not in found
    _, generic, custom = found["list_few_keys"]
    assert (generic > 0, custom) == (True, 5)


@pytest.mark.parametrize(
    ("given", "most_rows"),
    [
        (arguments(LARGE, RARE), 100),
        (arguments(LARGE, "f3a"), 300),
        (arguments(LARGE, "界"), 100),
        (arguments(SMALL, "e"), 200),
        (arguments(SMALL, None), 200),
        (arguments(LARGE, None), 1_000),
        ({**arguments(LARGE, None), "kind": "api_key"}, 1_000),
        (arguments(LARGE, None, offset=KEYS // 2, include_invalid=True), 1_000),
    ],
)
def test_the_last_of_many_calls_reads_as_little_as_the_first(
    database: Database, filled: str, given: dict[str, Any], most_rows: int
) -> None:
    views = KeyViews(database)
    assert views.page(**given)[1] > 0
    after_one = rows_read(database, filled)
    for _ in range(TIMES):
        views.page(**given)

    assert rows_read(database, filled) - after_one <= TIMES * most_rows


def test_a_database_that_would_rather_keep_its_plans_does_not_keep_those_of_searches(filled: str) -> None:
    database = Database(f"{filled} options='-c plan_cache_mode=force_generic_plan'", max_connections=1)
    try:
        before = rows_read(database, filled)
        for _ in range(TIMES):
            KeyViews(database).page(**arguments(LARGE, RARE))

        assert rows_read(database, filled) - before <= TIMES * 100
    finally:
        database.close()


def rows_read(database: Database, dsn: str) -> int:
    """How many rows of the keys' tables have been read so far, by the server's own statistics."""
    database.run(lambda connection: connection.execute("SELECT pg_stat_force_next_flush()"))
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_user_tables WHERE relname = ANY(%s)",
            [list(TABLES)],
        ).fetchone()
    assert row is not None
    return int(row[0])
