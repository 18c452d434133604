"""Keys in memory: found by their secret, at most so many, and never longer than the feed lets them."""

import math
from uuid import UUID

import pytest

from keyledger.infrastructure.verifying.key_cache import ABSENT_ENTRIES, READY_ENTRIES, Entry, KeyCache

NOBODY = UUID(int=0)


def build(digits: str, packed: bytes) -> Entry:
    return Entry(
        digits=digits, key_id=NOBODY, code="valid", expires_at=math.inf, answer=packed[32:], packed=packed
    )


def digest(number: int) -> bytes:
    return number.to_bytes(32)


def opened(limit: int = 100) -> KeyCache:
    cache = KeyCache(limit, build)
    cache.open("a server")
    return cache


def keep(cache: KeyCache, number: int, answer: bytes = b"an answer") -> None:
    fill = cache.fill(str(number))
    cache.store(fill, digest(number), answer)
    cache.finish(fill)


def usable(cache: KeyCache, number: int) -> bool:
    entry = cache.get(digest(number), str(number))
    return entry is not None and bool(entry.live or (entry.live is None and cache.holds(entry)))


def ready(cache: KeyCache, number: int) -> Entry:
    """The entry that is kept unpacked, since it is used again and again."""
    for _ in range(100):
        entry = cache.get(digest(number), str(number))
        assert entry is not None
        if entry.live:
            return entry
    raise AssertionError("never kept")


def test_a_key_is_found_by_the_digest_of_its_secret_and_by_no_other() -> None:
    cache = opened()
    keep(cache, 7)

    found = cache.get(digest(7), "7")

    assert found is not None
    assert found.answer == b"an answer"
    assert cache.get(digest(8), "7") is None
    assert cache.get(digest(7), "8") is None


def test_a_key_that_is_used_often_is_unpacked_once() -> None:
    cache = opened()
    keep(cache, 7)
    assert ready(cache, 7) is ready(cache, 7)


def test_no_more_keys_are_kept_than_the_limit_and_the_last_ones_are_kept() -> None:
    cache = opened(limit=10)
    for number in range(1000):
        keep(cache, number)
        assert len(cache) <= 10
    assert [number for number in range(1000) if usable(cache, number)] == list(range(990, 1000))


def test_no_more_keys_are_kept_unpacked_than_some() -> None:
    cache = opened(limit=3 * READY_ENTRIES)
    for number in range(2 * READY_ENTRIES):
        keep(cache, number)
        ready(cache, number)
    assert len(cache._ready) <= READY_ENTRIES
    assert len(cache._digests) <= READY_ENTRIES
    assert len(cache) == 2 * READY_ENTRIES


@pytest.mark.parametrize("how", ["drop", "clear"])
def test_a_key_that_changed_is_not_found_and_who_has_it_in_hand_is_told(how: str) -> None:
    cache = opened()
    keep(cache, 7)
    in_use = ready(cache, 7)
    keep(cache, 8)
    once = cache.get(digest(8), "8")
    assert once is not None
    assert once.live is None
    assert cache.holds(once)

    cache.drop(["7", "8"]) if how == "drop" else cache.clear()

    assert not in_use.live
    assert not cache.holds(once)
    assert cache.get(digest(7), "7") is None
    assert cache.get(digest(8), "8") is None


def test_a_key_that_is_dropped_after_it_was_forgotten_unpacked_is_dropped_all_the_same() -> None:
    cache = opened(limit=3)
    keep(cache, 7)
    in_use = ready(cache, 7)
    for number in range(100, 110):
        keep(cache, number)
        ready(cache, number)
    cache.drop(["7"])
    assert not in_use.live


def test_an_answer_on_its_way_is_not_kept_when_the_key_changes_meanwhile() -> None:
    cache = opened()
    fill, other = cache.fill("7"), cache.fill("8")

    cache.drop(["7"])
    cache.store(fill, digest(7), b"from before")
    cache.store(other, digest(8), b"an answer")

    assert not fill.live
    assert not usable(cache, 7)
    assert usable(cache, 8)


def test_an_answer_on_its_way_is_not_kept_when_everything_is_forgotten_meanwhile() -> None:
    cache = opened()
    fill = cache.fill("7")
    cache.clear()
    cache.open("another server")
    cache.store(fill, digest(7), b"from before")
    assert not usable(cache, 7)


def test_nothing_is_kept_before_the_feed_has_answered() -> None:
    cache = KeyCache(100, build)
    keep(cache, 7)
    assert not usable(cache, 7)


def test_a_newer_answer_replaces_an_older_one() -> None:
    cache = opened()
    keep(cache, 7, b"older")
    older = ready(cache, 7)
    keep(cache, 7, b"newer")
    assert not older.live
    assert ready(cache, 7).answer == b"newer"


def miss(cache: KeyCache, number: int) -> None:
    fill = cache.fill(str(number))
    cache.store_absent(fill)
    cache.finish(fill)


def test_a_key_that_is_not_there_is_remembered_until_it_is_created_or_everything_is_forgotten() -> None:
    cache = opened()
    for number in (7, 8):
        miss(cache, number)
    assert (cache.is_absent("7"), cache.is_absent("8"), cache.is_absent("9")) == (True, True, False)
    cache.drop(["7"])
    assert (cache.is_absent("7"), cache.is_absent("8")) == (False, True)
    cache.clear()
    assert not cache.is_absent("8")


def test_that_a_key_is_not_there_is_not_believed_when_it_is_created_meanwhile() -> None:
    cache = opened()
    fill = cache.fill("7")
    cache.drop(["7"])
    cache.store_absent(fill)
    assert not cache.is_absent("7")


def test_keys_that_are_not_there_take_no_room_of_those_that_are_and_no_more_than_some() -> None:
    cache = opened(limit=2 * ABSENT_ENTRIES)
    keep(cache, 3 * ABSENT_ENTRIES)
    for number in range(3 * ABSENT_ENTRIES):
        miss(cache, number)
    assert len(cache._absent) == ABSENT_ENTRIES
    assert len(cache) == 1
    assert usable(cache, 3 * ABSENT_ENTRIES)


def test_questions_that_are_finished_leave_nothing_behind() -> None:
    cache = opened()
    first, second = cache.fill("7"), cache.fill("7")
    cache.finish(first)
    cache.drop(["7"])
    cache.finish(second)
    assert not cache._fills
    assert (first.live, second.live) == (True, False)


def test_a_forked_child_begins_empty() -> None:
    cache = opened()
    keep(cache, 7)
    ready(cache, 7)
    cache.begin()
    assert (len(cache), usable(cache, 7)) == (0, False)
