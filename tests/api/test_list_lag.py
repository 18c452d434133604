"""Lists where the counts do not know what the keys are now: they are added to as far as that goes, or not used."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from support.key_writer import KeyWriter, Wanted, listed, plain

from keyledger import APIKey

BY_COUNTS = ["list_few_keys", "list_many_keys"]
ONE_BY_ONE = [*BY_COUNTS, "list_keys"]
MOST_WAITING = 20


class Lists:
    """A subject's keys, counted from the first one on, in buckets of two."""

    def __init__(self, writer: KeyWriter) -> None:
        self.writer = writer
        self.api_keys = writer.api_keys
        self.count = writer.catch_up

    def create(self, keys: int = 1, expires_in: float | None = None) -> list[APIKey]:
        """Keys that are created one second after the other; they expire in so many seconds from now."""
        made = []
        for _ in range(keys):
            self.writer.now += timedelta(seconds=1)
            made.append(
                self.api_keys.create(name="a key", subject="org", seconds_until_expiration=self._from(expires_in))
            )
        return made

    def move(self, key: APIKey, expires_in: float | None) -> None:
        """Let a key expire at another time."""
        self.api_keys.update(key.id, seconds_until_expiration=self._from(expires_in))

    def assert_right(self, way: list[str], *, size: int = 3) -> None:
        """Every page is what plain SQL gives, and was found this way."""
        for include_invalid in (True, False):
            offset, total = 0, None
            while total is None or offset <= total:
                wanted = Wanted("org", "", offset, size, include_invalid)
                found, total, statements = self.writer.database.run(partial(listed, wanted=wanted))
                ids, count = self.writer.database.run(partial(plain, wanted=wanted))
                assert found == ids
                assert count in (total, None)
                assert statements == way
                offset += size

    def total(self) -> int:
        """How many valid keys there are."""
        return self.api_keys.get_all(subject="org").total_count

    def _from(self, seconds: float | None) -> float | None:
        """The writer's clock is behind by a year."""
        return None if seconds is None else (datetime.now(UTC) - self.writer.now).total_seconds() + seconds


@pytest.fixture
def lists(make_writer: Callable[[int], KeyWriter], list_limits: Callable[..., None]) -> Lists:
    list_limits(0, 2, MOST_WAITING)
    return Lists(make_writer(1))


@pytest.fixture
def admin(dsn: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(("keys", "way"), [(0, ["list_few_keys"]), (MOST_WAITING, BY_COUNTS), (30, ONE_BY_ONE)])
def test_a_ledger_whose_worker_never_ran_lists_its_keys(lists: Lists, keys: int, way: list[str]) -> None:
    lists.create(keys)
    lists.assert_right(way)


def test_what_waits_is_added_to_the_counts_until_it_is_too_much(lists: Lists) -> None:
    made = lists.create(30)
    lists.count()
    lists.assert_right(BY_COUNTS)

    lists.create(MOST_WAITING - 2)
    lists.api_keys.revoke(made[3].id)
    lists.api_keys.update(made[4].id, subject="org_other")
    lists.assert_right(BY_COUNTS)

    lists.create()
    lists.assert_right(ONE_BY_ONE)


def test_what_has_its_position_but_is_not_counted_yet_is_added_as_well(lists: Lists) -> None:
    lists.create(10)
    lists.count()
    lists.create(10)
    lists.count(steps=1)
    lists.create(3)

    lists.assert_right(BY_COUNTS)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM keyledger.projections WHERE name = 'listing'",
        "UPDATE keyledger.projections SET version = version + 1 WHERE name = 'listing'",
    ],
)
def test_counts_of_another_version_or_of_none_are_not_used(
    lists: Lists, admin: psycopg.Connection, change: str
) -> None:
    lists.create(10)
    lists.count()
    row = admin.execute("SELECT * FROM keyledger.projections WHERE name = 'listing'").fetchone()
    try:
        admin.execute(change.encode())
        lists.assert_right(ONE_BY_ONE)
    finally:
        admin.execute("DELETE FROM keyledger.projections WHERE name = 'listing'")
        assert row is not None
        admin.execute(f"INSERT INTO keyledger.projections VALUES ({', '.join(['%s'] * len(row))})".encode(), row)


def test_counts_that_have_stopped_are_added_to_like_others(lists: Lists, admin: psycopg.Connection) -> None:
    lists.create(10)
    lists.count()
    admin.execute(
        "UPDATE keyledger.projections SET failed_position = position + 1, failure = 'poison'"
        " WHERE name = 'listing'"
    )
    lists.create(MOST_WAITING)
    lists.assert_right(BY_COUNTS)

    lists.create()
    lists.assert_right(ONE_BY_ONE)


def test_keys_of_one_moment_are_told_apart_by_their_ids(lists: Lists) -> None:
    lists.writer.now -= timedelta(seconds=1)
    for number in range(30):
        lists.writer.now -= timedelta(seconds=1)
        (key,) = lists.create()
        if number == 20:
            lists.count()
        if number % 5 == 0:
            lists.api_keys.revoke(key.id)

    lists.assert_right(BY_COUNTS)


def test_a_key_that_expires_while_nothing_is_counted_is_left_out_from_that_moment_on(
    lists: Lists, eventually: Callable[..., Any]
) -> None:
    lists.create(10)
    (key,) = lists.create(expires_in=1.0)
    lists.create(10)
    lists.count()
    eventually(lambda: key.reload().expired)

    assert lists.total() == 20
    lists.assert_right(BY_COUNTS)


@pytest.mark.parametrize(("expired", "way"), [(MOST_WAITING, BY_COUNTS), (MOST_WAITING + 1, ONE_BY_ONE)])
def test_keys_that_expired_since_are_taken_from_the_counts_until_they_are_too_many(
    lists: Lists, admin: psycopg.Connection, expired: int, way: list[str]
) -> None:
    lists.create(5)
    lists.create(expired, expires_in=-60.0)
    lists.count()
    admin.execute(  # as if all were counted a year before
        "UPDATE keyledger.projections SET state = convert_to((now() - interval '1 year')::text, 'UTF8')"
        " WHERE name = 'listing'"
    )
    admin.execute("UPDATE keyledger.key_counts SET live = keys")

    assert lists.total() == 5
    lists.assert_right(way)


@pytest.mark.parametrize(
    ("first", "then", "total"), [(60.0, None, 12), (-60.0, 60.0, 12), (60.0, -60.0, 11), (None, -60.0, 11)]
)
def test_an_expiration_that_is_moved_holds_before_it_is_counted(
    lists: Lists, admin: psycopg.Connection, first: float | None, then: float | None, total: int
) -> None:
    lists.create(11)
    (key,) = lists.create(expires_in=first)
    lists.count()
    lists.move(key, then)

    assert lists.total() == total
    lists.assert_right(BY_COUNTS)

    lists.count()
    assert lists.total() == total
    lists.assert_right(BY_COUNTS)


def test_keys_of_a_service_whose_clock_was_set_back_stand_where_they_belong(lists: Lists) -> None:
    lists.create(20)
    lists.count()
    for back in (5.5, 300, 40_000_000):
        lists.writer.now -= timedelta(seconds=back)
        lists.create(3)

    lists.assert_right(BY_COUNTS)
    lists.count()
    lists.assert_right(BY_COUNTS)


@pytest.mark.parametrize("year", [1, 1969, 2300, 9999])
def test_keys_on_either_side_of_a_bucket_s_end_are_told_apart_in_any_year(lists: Lists, year: int) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (datetime(year, 6, 1, tzinfo=UTC) - epoch) // timedelta(microseconds=1) >> 22 << 22
    for end in (0, 1 << 10, 1 << 16):
        for offset in (-2, -1, 0, 1, 2):
            lists.writer.now = epoch + timedelta(microseconds=microseconds + end + offset, seconds=-1)
            lists.create()
    lists.count()

    lists.assert_right(BY_COUNTS, size=1)


def test_a_key_that_left_a_subject_and_came_back_is_listed_where_it_is(lists: Lists) -> None:
    made = lists.create(9)
    lists.api_keys.update(made[2].id, subject="org_other")
    lists.count()
    lists.api_keys.update(made[2].id, subject="org")
    lists.api_keys.update(made[5].id, subject="org_other")

    lists.assert_right(BY_COUNTS)
