"""What searches look for is what the index has: the grams of a text are among those of a name that holds it."""

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keyledger.infrastructure.database import Database
from keyledger.infrastructure.key_search import KeySearch
from keyledger.projections.control import searchable

ALPHABET = "abcdefghijklmnopqrstuvwxyz" * 5
LETTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
NAMES = st.text(LETTERS, min_size=3, max_size=255) | st.text("ab%_\\é世👩\u200d\u0301İß", min_size=3, max_size=40)
ON_ONE_DATABASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@ON_ONE_DATABASE
@given(NAMES, st.integers(0, 254), st.integers(1, 255))
@example("100% sure_\\", 3, 1)
@example("你好世界", 2, 2)
@example("x" * 255, 0, 255)
def test_every_part_of_a_name_finds_it(database: Database, name: str, start: int, length: int) -> None:
    text = searchable(name)
    start %= len(text)
    part = text[start : start + length]
    if searchable(part) in text:  # else the cut went through a letter
        assert finds(database, part, text)


@ON_ONE_DATABASE
@given(NAMES, NAMES | st.text(LETTERS, min_size=1, max_size=2))
@example("a_b", "axb")
@example("100", "100%")
def test_what_is_no_part_of_a_name_does_not_find_it(database: Database, name: str, other: str) -> None:
    assert finds(database, other, searchable(name)) == (searchable(other) in searchable(name))


def finds(database: Database, query: str, name: str) -> bool:
    search = KeySearch.of(query)
    statement = "SELECT keyledger.grams(%s) @> %s::bigint[] AND %s LIKE %s"
    row = database.run(
        lambda connection: connection.execute(statement, [name, search.grams, name, search.pattern]).fetchone()
    )
    assert row is not None
    return bool(row[0])


def test_the_server_needs_no_extension_for_it(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT extname FROM pg_extension").fetchall() == [("plpgsql",)]


@pytest.mark.parametrize(
    ("query", "most"),
    [("ab", 1), ("x" * 255, 1), (ALPHABET, 26), (ALPHABET + "".join(map(chr, range(192, 222))), 32)],
)
def test_a_long_text_is_looked_for_by_some_of_its_grams(query: str, most: int) -> None:
    assert len(KeySearch.of(query).grams) == most
