"""The secret: its shape, its checksum, and what is refused before anything is looked up."""

import zlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyledger.domain import secret
from keyledger.domain.ids import new_uuid

uuids = st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))


@given(uuids)
def test_a_secret_tells_its_key(key_id: UUID) -> None:
    assert secret.parse(secret.generate(key_id)) == key_id


def test_a_secret_is_ak_and_71_letters_and_digits() -> None:
    text = secret.generate(new_uuid())
    assert len(text) == 74
    assert text.startswith("ak_")
    assert text[3:].isalnum()
    assert text.isascii()


def test_two_secrets_of_one_key_differ_in_their_256_random_bits() -> None:
    key_id = new_uuid()
    texts = {secret.generate(key_id)[25:68] for _ in range(1000)}
    assert len(texts) == 1000


def test_the_random_part_is_filled_by_all_256_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(secret.secrets, "token_bytes", lambda size: asked.append(size) or b"\xff" * size)
    assert secret.generate(new_uuid())[25:68] == secret._base62(2**256 - 1, 43)
    assert asked == [32]
    assert 62**43 > 2**256


@given(uuids, st.integers(0, 73), st.sampled_from(secret.ALPHABET + "_-. \0é"))
def test_one_changed_character_is_refused(key_id: UUID, place: int, character: str) -> None:
    text = secret.generate(key_id)
    changed = text[:place] + character + text[place + 1 :]
    assert (secret.parse(changed) is None) == (changed != text)


@given(uuids, st.integers(0, 73))
def test_two_neighbours_that_change_places_are_refused(key_id: UUID, place: int) -> None:
    text = secret.generate(key_id)
    changed = text[:place] + text[place : place + 2][::-1] + text[place + 2 :]
    assert (secret.parse(changed) is None) == (changed != text)


@given(st.text())
def test_a_text_that_is_no_secret_is_refused(text: str) -> None:
    assert secret.parse(text) is None


@given(uuids, st.integers(0, 73), st.text(min_size=1, max_size=3))
def test_a_secret_that_is_cut_or_has_more_to_it_is_refused(key_id: UUID, length: int, more: str) -> None:
    text = secret.generate(key_id)
    assert secret.parse(text[:length]) is None
    assert secret.parse(text + more) is None
    assert secret.parse(more + text) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        b"ak_",
        [],
        "",
        "ak_",
        "a" * 1_000_000,
        "ak_" + "0" * 71,
        "\0" * 74,
        "\ud800" * 74,
        "ak_" + "é" * 71,
    ],
    ids=lambda value: f"{type(value).__name__} of {len(str(value))}",
)
def test_what_is_not_a_secret_at_all_is_refused(value: object) -> None:
    assert secret.parse(value) is None


def test_an_id_of_more_than_128_bits_is_refused_though_the_checksum_holds() -> None:
    body = "ak_" + "z" * 22 + "0" * 43
    assert secret.parse(body + secret.checksum(body)) is None


def test_the_checksum_is_the_crc_32_in_base62() -> None:
    assert zlib.crc32(b"ak_") == 0xCB89860C
    assert secret.checksum("ak_") == "3j66FI"


@given(st.text(max_size=20), uuids, st.text(max_size=20))
def test_a_secret_is_found_and_blacked_out_wherever_it_stands(before: str, key_id: UUID, after: str) -> None:
    text = secret.generate(key_id)
    assert secret.occurs_in(before + text + after)
    assert text[25:68] not in secret.redact(before + text + after)


@given(st.text(max_size=60))
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert not secret.occurs_in(text)
    assert secret.redact(text) == text
