"""Keys in memory: found by their secret, at most so many, and never longer than the feed lets them."""

import pytest

from keyledger.domain.digest import Digest
from keyledger.infrastructure.verifying.key_cache import READY_ENTRIES, REFUSING_ENTRIES, KeyCache, Refusing

DIGEST = Digest(algorithm="hmac-sha256-v1", kid="none", value=bytes(32))


def opened(limit: int = 100) -> KeyCache[str]:
    cache: KeyCache[str] = KeyCache(limit)
    cache.open("a server")
    return cache


def keep(cache: KeyCache[str], number: int, answer: bytes = b"an answer") -> None:
    fill = cache.fill(str(number))
    cache.store(fill, answer + bytes(1))
    cache.finish(fill)


def usable(cache: KeyCache[str], number: int) -> bool:
    packed = cache.get(str(number))
    return packed is not None and cache.keeps(str(number), packed)


def in_hand(cache: KeyCache[str], number: int) -> bytes:
    """What is kept of a key, as somebody has it who is about to answer with it."""
    packed = cache.get(str(number))
    assert packed is not None
    return packed


def test_a_key_is_found_by_its_digits_and_by_no_others() -> None:
    cache = opened()
    keep(cache, 7)
    assert cache.get("7") == b"an answer\0"
    assert cache.get("8") is None


def test_no_more_keys_are_kept_than_the_limit_and_the_last_ones_are_kept() -> None:
    cache = opened(limit=10)
    for number in range(1000):
        keep(cache, number)
        assert len(cache) <= 10
    assert [number for number in range(1000) if usable(cache, number)] == list(range(990, 1000))


def test_what_was_made_of_no_more_keys_is_at_hand_than_some() -> None:
    cache = opened(limit=3 * READY_ENTRIES)
    for number in range(2 * READY_ENTRIES):
        keep(cache, number)
        cache.make_ready(str(number), "made of it")
    assert len(cache.ready) <= READY_ENTRIES
    assert len(cache) == 2 * READY_ENTRIES


@pytest.mark.parametrize("how", ["drop", "clear"])
def test_of_a_key_that_changed_nothing_is_at_hand(how: str) -> None:
    cache = opened()
    cache.make_ready("7", "made of what stood for no key")
    cache.drop(["7"]) if how == "drop" else cache.clear()
    assert cache.ready.get("7") is None


@pytest.mark.parametrize("how", ["drop", "clear"])
def test_a_key_that_changed_is_not_found_and_who_has_it_in_hand_finds_out(how: str) -> None:
    cache = opened()
    keep(cache, 7)
    cache.make_ready("7", "made of it")
    packed = in_hand(cache, 7)
    assert cache.keeps("7", packed)

    cache.drop(["7"]) if how == "drop" else cache.clear()

    assert not cache.keeps("7", packed)
    assert cache.get("7") is None
    assert cache.ready.get("7") is None


def test_what_was_made_before_a_key_was_read_again_is_not_at_hand() -> None:
    cache = opened()
    keep(cache, 7)
    cache.make_ready("7", "made of it")
    keep(cache, 7, b"another answer")
    assert cache.ready.get("7") is None


def test_what_is_kept_anew_is_not_what_somebody_has_in_hand_though_it_says_the_same() -> None:
    cache = opened()
    keep(cache, 7)
    older = in_hand(cache, 7)
    cache.drop(["7"])
    keep(cache, 7)
    assert in_hand(cache, 7) == older
    assert not cache.keeps("7", older)


def test_an_answer_on_its_way_is_not_kept_when_the_key_changes_meanwhile() -> None:
    cache = opened()
    fill, other = cache.fill("7"), cache.fill("8")

    cache.drop(["7"])
    cache.store(fill, b"from before")
    cache.store(other, b"an answer")

    assert not fill.live
    assert not usable(cache, 7)
    assert usable(cache, 8)


def test_an_answer_on_its_way_is_not_kept_when_everything_is_forgotten_meanwhile() -> None:
    cache = opened()
    fill = cache.fill("7")
    cache.clear()
    cache.open("another server")
    cache.store(fill, b"from before")
    assert not usable(cache, 7)


def test_nothing_is_kept_before_the_feed_has_answered() -> None:
    cache = KeyCache[str](100)
    keep(cache, 7)
    assert not usable(cache, 7)


def test_a_newer_answer_replaces_an_older_one() -> None:
    cache = opened()
    keep(cache, 7, b"older")
    older = in_hand(cache, 7)
    keep(cache, 7, b"newer")
    assert not cache.keeps("7", older)
    assert in_hand(cache, 7) == b"newer\0"


def miss(cache: KeyCache[str], number: int) -> Refusing:
    fill = cache.fill(str(number))
    refusing = Refusing(digits=str(number), digest=DIGEST, stand_in=b"nobody" + bytes(1))
    cache.store_refusing(fill, refusing)
    cache.finish(fill)
    return refusing


def test_a_key_that_is_not_there_is_remembered_until_it_is_created_or_everything_is_forgotten() -> None:
    cache = opened()
    seven, eight = miss(cache, 7), miss(cache, 8)
    assert [cache.refusing(digits) for digits in "789"] == [seven, eight, None]
    cache.drop(["7"])
    assert [cache.refusing(digits) for digits in "78"] == [None, eight]
    assert not usable(cache, 7)
    cache.clear()
    assert cache.refusing("8") is None


def test_that_a_key_is_not_there_is_not_believed_when_it_is_created_meanwhile() -> None:
    cache = opened()
    fill = cache.fill("7")
    cache.drop(["7"])
    cache.store_refusing(fill, Refusing(digits="7", digest=DIGEST, stand_in=b"nobody"))
    assert cache.refusing("7") is None
    assert not usable(cache, 7)


def test_keys_that_are_not_there_take_no_more_room_than_some() -> None:
    cache = opened(limit=4 * REFUSING_ENTRIES)
    keep(cache, 3 * REFUSING_ENTRIES)
    for number in range(3 * REFUSING_ENTRIES):
        miss(cache, number)
    assert len(cache._refusing) == REFUSING_ENTRIES
    assert len(cache) == 1 + REFUSING_ENTRIES
    assert usable(cache, 3 * REFUSING_ENTRIES)


def test_a_key_that_came_after_its_stand_in_stays_when_that_is_forgotten() -> None:
    cache = opened(limit=8)
    miss(cache, 7)
    keep(cache, 7)
    for number in (8, 9):
        miss(cache, number)
    assert cache.refusing("7") is None
    assert in_hand(cache, 7) == b"an answer\0"


def test_what_was_made_of_a_stand_in_is_not_at_hand_once_it_is_forgotten() -> None:
    cache = opened(limit=8)
    miss(cache, 7)
    cache.make_ready("7", "made of it")
    for number in (8, 9):
        miss(cache, number)
    assert cache.ready.get("7") is None


def test_of_a_small_memory_most_is_for_keys_that_are_there() -> None:
    cache = opened(limit=8)
    for number in range(6):
        keep(cache, number)
    for number in range(100, 200):
        miss(cache, number)
    assert [number for number in range(6) if usable(cache, number)] == list(range(6))


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
    cache.begin()
    assert (len(cache), usable(cache, 7)) == (0, False)
