"""Lists against a naive model: whatever was created, changed, revoked or has expired, and however far behind the
counts are, every page holds just the keys that it must, and the total is exact."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.key_writer import SUBJECTS, KeyWriter

from keyledger.api_keys import APIKeys
from keyledger.projections.control import searchable

TERMS = ("", "e", "ci", "EXPORT", "%", "_", "\\", "世", "世界", "École", "0% s", "absent", "x" * 255)
LIVE = "revoked_at IS NULL AND (expiration IS NULL OR expiration > statement_timestamp())"
"""Who is listed, judged by the very clock that lists go by."""


def expected(dsn: str, subject: str, term: str, *, include_invalid: bool) -> list[str]:
    """The ids of the keys that a list must hold, in order, told key by key in Python."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            f"SELECT id, subject, name_search, created_at, {LIVE} FROM keyledger.api_keys".encode()
        ).fetchall()
    text = searchable(term)
    found = [row for row in rows if row[1] == subject and text in row[2] and (include_invalid or row[4])]
    return [f"ak_{row[0].hex}" for row in sorted(found, key=lambda row: (row[3], row[0]), reverse=True)]


def assert_lists(dsn: str, api_keys: APIKeys, size: int, terms: tuple[str, ...] = ("",)) -> None:
    for subject in (*SUBJECTS, "org_3"):
        for term in terms:
            for include_invalid in (True, False):
                assert_list(dsn, api_keys, size, subject, term, include_invalid=include_invalid)


def assert_list(dsn: str, api_keys: APIKeys, size: int, subject: str, term: str, *, include_invalid: bool) -> None:
    arguments: dict[str, Any] = {"subject": subject, "query": term, "include_invalid": include_invalid}
    before = None
    while True:  # until no key expires while its pages are read
        wanted = expected(dsn, subject, term, include_invalid=include_invalid)
        if wanted == before:
            break
        before, pages = wanted, range(1, len(wanted) // size + 3)
        found = [api_keys.get_all(initial_page=page, page_size=size, **arguments) for page in pages]
    assert {page.total_count for page in found} == {len(wanted)}, arguments
    assert [[key.id for key in page.data] for page in found] == [
        wanted[start : start + size] for start in range(0, size * len(pages), size)
    ], arguments


@pytest.mark.parametrize("seed", range(3))
def test_every_page_is_right_with_counts_that_are_up_to_date_behind_or_not_kept_at_all(
    dsn: str, make_writer: Callable[..., KeyWriter], list_limits: Callable[..., None], seed: int
) -> None:
    list_limits(0, 2, 1_000)
    writer = make_writer(seed)
    for turn in range(4):
        for _ in range(writer.chance.randint(1, 25)):
            writer.write()
        assert_lists(dsn, writer.api_keys, size=writer.chance.choice([1, 3, 7, 100]))
        writer.catch_up(steps=None if turn == 2 else writer.chance.randint(0, 3))
        assert_lists(dsn, writer.api_keys, size=writer.chance.choice([2, 5]))


@pytest.mark.parametrize("limits", [(10**6, 2, 1_000), (0, 2, 3), (5, 4, 1_000), (0, 10**6, 1_000)])
def test_every_way_to_read_a_page_gives_the_same(
    dsn: str, make_writer: Callable[..., KeyWriter], list_limits: Callable[..., None], limits: tuple[int, int, int]
) -> None:
    list_limits(*limits)
    writer = make_writer(7)
    for _ in range(40):
        writer.write()
    writer.catch_up()
    for _ in range(10):
        writer.write()

    assert_lists(dsn, writer.api_keys, size=4, terms=("", "e", "世界"))


def test_every_page_of_a_search_is_right(
    dsn: str, make_writer: Callable[..., KeyWriter], list_limits: Callable[..., None]
) -> None:
    list_limits(2, 2, 1_000)
    writer = make_writer(8)
    for _ in range(50):
        writer.write()
    writer.catch_up()

    assert_lists(dsn, writer.api_keys, size=3, terms=TERMS)


def test_a_clock_of_the_database_that_was_set_back_makes_no_count_wrong(
    dsn: str, make_writer: Callable[..., KeyWriter], list_limits: Callable[..., None]
) -> None:
    list_limits(0, 2, 1_000)
    writer = make_writer(9)
    for _ in range(40):
        writer.write()
    writer.catch_up()
    with psycopg.connect(dsn, autocommit=True) as connection:  # as if all were counted in some years
        live = "present AND NOT revoked AND (expiration IS NULL OR expiration > '2060-01-01 00:00:00+00')"
        connection.execute(
            "UPDATE keyledger.projections SET state = '2060-01-01T00:00:00+00:00' WHERE name = 'listing'"
        )
        connection.execute(
            f"""
            UPDATE keyledger.key_counts AS c SET live = (
                SELECT count(*) FROM keyledger.listed_keys AS l
                WHERE l.subject = c.subject AND {live}
                    AND (extract(epoch FROM l.created_at) * 1000000)::bigint >> c.shift = c.bucket
            )
            """.encode()
        )

    assert_lists(dsn, writer.api_keys, size=3)
