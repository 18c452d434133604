"""Identifiers."""

import threading
import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyledger.domain.errors import InvalidArgument, KeyNotFound
from keyledger.domain.ids import key_id_text, new_uuid, parse_key_id


def test_a_new_uuid_is_a_version_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = new_uuid()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before - 1 <= made.int >> 80 <= after + 1


def test_each_uuid_is_later_than_the_one_before() -> None:
    made = [new_uuid() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_uuids_stay_in_order_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_uuid()
    monkeypatch.setattr("keyledger.domain.ids.time.time_ns", lambda: 0)
    assert new_uuid() > first


def test_threads_never_make_the_same_uuid() -> None:
    made: list[UUID] = []
    threads = [threading.Thread(target=lambda: made.extend([new_uuid() for _ in range(2000)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000


@given(st.uuids())
def test_a_key_id_reads_back(key_id: UUID) -> None:
    assert parse_key_id(key_id_text(key_id)) == key_id


@pytest.mark.parametrize(
    "text", ["", "ak_", "ak_" + "0" * 31, "ak_" + "0" * 33, "ak_" + "g" * 32, "0" * 32, None, 7, b"ak_"]
)
def test_a_text_that_is_no_id_is_a_malformed_argument_and_no_key(text: object) -> None:
    with pytest.raises(InvalidArgument) as raised:
        parse_key_id(text)
    assert isinstance(raised.value, KeyNotFound)
    assert raised.value.param == "api_key_id"
    assert str(text) not in str(raised.value) or text in ("", "ak_")
