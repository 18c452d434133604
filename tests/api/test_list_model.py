"""Lists against a naive model: whatever was created, changed, revoked or has expired, and however far behind the
counts are, every page holds just the keys that it must, and the total is exact."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from keyledger.api_keys import APIKeys
from keyledger.domain.digest import Peppers
from keyledger.infrastructure import key_view
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.key_store import KeyStore
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.runner import Runner
from keyledger.infrastructure.sequencer import Sequencer
from keyledger.projections import listing
from keyledger.projections.control import searchable

SUBJECTS = ("org_1", "org_2")
NAMES = ("CI deploys", "nightly export", "100% sure", "a_b", "back\\slash", "你好世界", "مرحبا", "e\u0301cole")
TERMS = ("", "e", "ci", "EXPORT", "%", "_", "\\", "世", "世界", "École", "0% s", "absent")
LIVE = "revoked_at IS NULL AND (expiration IS NULL OR expiration > statement_timestamp())"
"""Who is listed, judged by the very clock that lists go by."""


class Ledger:
    """Keys written by a clock of the test's own, and read models that stand still until they are moved."""

    def __init__(self, dsn: str, chance: random.Random) -> None:
        self.database = Database(dsn)
        self.chance = chance
        self.now = datetime.now(UTC) - timedelta(days=400)
        self.api_keys = APIKeys(
            KeyStore(self.database, EventCodec(), lambda: None),
            KeyViews(self.database),
            Peppers({}),
            lambda: self.now,
        )
        self.ids: list[str] = []

    def write(self) -> None:
        """Something that may happen to a key."""
        self.now += timedelta(microseconds=self.chance.choice([0, 0, 1, 1_000, 500_000, 3_600_000_000]))
        kind = self.chance.random()
        if kind < 0.55 or not self.ids:
            self.ids.append(
                self.api_keys.create(
                    name=self.chance.choice(NAMES),
                    subject=self._subject(),
                    seconds_until_expiration=self._expiry(),
                ).id
            )
            return
        key = self.api_keys.get(self.chance.choice(self.ids))
        if kind < 0.75 or key.revoked:
            self.api_keys.revoke(key.id)
        elif kind < 0.9:
            self.api_keys.update(key.id, subject=self._subject())
        else:
            self.api_keys.update(key.id, seconds_until_expiration=self._expiry())

    def catch_up(self, steps: int | None = None) -> None:
        """Give positions and apply them to the read models: all, or only so many batches of a few."""
        sequencer = Sequencer(self.database)
        if steps is None:
            position = sequencer.catch_up()
            Runner(self.database, EventCodec(), READ_MODELS).catch_up(position, "listing")
            return
        assert sequencer.claim()
        for _ in range(steps):
            sequencer.step(self.chance.randint(1, 9))
        runner = Runner(self.database, EventCodec(), READ_MODELS)
        (model,) = (model for model in READ_MODELS if model.name == "listing")
        runner.step(model, self.chance.randint(0, sequencer.head))
        sequencer.release()

    def _subject(self) -> str:
        return self.chance.choice(SUBJECTS)

    def _expiry(self) -> float | None:
        """Never, a time that has passed since, one that is to come, and one that comes while the test runs."""
        soon = datetime.now(UTC) - self.now + timedelta(seconds=self.chance.uniform(0.01, 0.5))
        return self.chance.choice([None, None, None, 60.0, 3e7, 1e9, soon.total_seconds()])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what counts as few keys, as a split bucket, and as too far behind."""

    def set_to(few_keys: int, leaf_keys: int, most_waiting: int) -> None:
        monkeypatch.setattr(listing, "LEAF_KEYS", leaf_keys)
        tree = {"few": few_keys, "leaf_keys": leaf_keys, "most_waiting": most_waiting}
        monkeypatch.setattr(key_view, "_TREE", {**key_view._TREE, **tree})

    return set_to


@pytest.fixture
def make(dsn: str) -> Iterator[Callable[..., Ledger]]:
    made: list[Ledger] = []

    def new(seed: int, options: str = "") -> Ledger:
        made.append(Ledger(make_conninfo(dsn, options=options), random.Random(seed)))
        return made[-1]

    yield new
    for ledger in made:
        ledger.database.close()


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
    dsn: str, make: Callable[..., Ledger], few: Callable[..., None], seed: int
) -> None:
    few(0, 2, 1_000)
    ledger = make(seed)
    for turn in range(4):
        for _ in range(ledger.chance.randint(1, 25)):
            ledger.write()
        assert_lists(dsn, ledger.api_keys, size=ledger.chance.choice([1, 3, 7, 100]))
        ledger.catch_up(steps=None if turn == 2 else ledger.chance.randint(0, 3))
        assert_lists(dsn, ledger.api_keys, size=ledger.chance.choice([2, 5]))


@pytest.mark.parametrize("limits", [(10**6, 2, 1_000), (0, 2, 3), (5, 4, 1_000), (0, 10**6, 1_000)])
def test_every_way_to_read_a_page_gives_the_same(
    dsn: str, make: Callable[..., Ledger], few: Callable[..., None], limits: tuple[int, int, int]
) -> None:
    few(*limits)
    ledger = make(7)
    for _ in range(40):
        ledger.write()
    ledger.catch_up()
    for _ in range(10):
        ledger.write()

    assert_lists(dsn, ledger.api_keys, size=4, terms=("", "e", "世界"))


def test_every_page_of_a_search_is_right(dsn: str, make: Callable[..., Ledger], few: Callable[..., None]) -> None:
    few(2, 2, 1_000)
    ledger = make(8)
    for _ in range(50):
        ledger.write()
    ledger.catch_up()

    assert_lists(dsn, ledger.api_keys, size=3, terms=TERMS)


def test_a_clock_of_the_database_that_was_set_back_makes_no_count_wrong(
    dsn: str, make: Callable[..., Ledger], few: Callable[..., None]
) -> None:
    few(0, 2, 1_000)
    ledger = make(9)
    for _ in range(40):
        ledger.write()
    ledger.catch_up()
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

    assert_lists(dsn, ledger.api_keys, size=3)
