"""Spooled uses as bytes: whatever befalls a file, what is read of it is a beginning of what was written."""

import zlib
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from support.streams import KEY

from keyledger.domain import secret
from keyledger.domain.use import OUTCOMES, Use
from keyledger.infrastructure.uses.frames import HEADER, NotedUse, base_of, frame, frames, header

texts = st.none() | st.text(max_size=20)
uses = st.builds(Use, ip_address=texts, user_agent=texts, method=texts, path=texts, request_id=texts)
noted = st.tuples(st.integers(0, 2**50), st.sampled_from(OUTCOMES), uses)
written = st.lists(st.tuples(st.uuids(), noted), max_size=8)


def file_of(items: list[tuple[UUID, NotedUse]]) -> bytes:
    return header(7) + b"".join(frame(key_id, *use) for key_id, use in items)


def read(data: bytes) -> list[tuple[UUID, NotedUse]]:
    """What a file gives: nothing where its beginning is damaged."""
    return [] if base_of(data) is None else [(found.key_id, found.use) for found in frames(data)]


def cleaned(items: list[tuple[UUID, NotedUse]]) -> list[tuple[UUID, NotedUse]]:
    return [(key_id, (moment, outcome, use.cleaned())) for key_id, (moment, outcome, use) in items]


FILE = [
    (UUID(int=n << 64 | 7), (10**15 + n, OUTCOMES[n % 5], Use(path=f"/v1/{n}", request_id=str(n))))
    for n in range(6)
]
DATA = file_of(FILE)
ENDS = [found.end for found in frames(DATA)]


def whole_before(place: int) -> list[tuple[UUID, NotedUse]]:
    """The uses whose frames end at or before a place; none where that is in the header."""
    return [] if place < HEADER.size else FILE[: sum(end <= place for end in ENDS)]


@given(written)
def test_every_use_is_read_as_it_was_written(items: list[tuple[UUID, NotedUse]]) -> None:
    data = file_of(items)
    assert base_of(data) == 7
    assert read(data) == cleaned(items)
    assert [found.end for found in frames(data)][-1:] == ([len(data)] if items else [])


def test_a_file_cut_at_any_byte_gives_the_whole_frames_before_the_cut() -> None:
    for place in range(len(DATA)):
        assert read(DATA[:place]) == whole_before(place), place


def test_a_file_with_any_bit_flipped_gives_the_whole_frames_before_it() -> None:
    for place in range(len(DATA)):
        for bit in range(8):
            data = bytearray(DATA)
            data[place] ^= 1 << bit
            assert read(bytes(data)) == whole_before(place), (place, bit)


def test_a_file_with_any_byte_overwritten_by_a_zero_gives_the_whole_frames_before_it() -> None:
    for place in range(len(DATA)):
        if DATA[place]:
            assert read(DATA[:place] + b"\0" + DATA[place + 1 :]) == whole_before(place), place


@given(written, st.integers(0, 300))
def test_zeros_after_the_last_frame_as_a_power_cut_leaves_them_are_no_use(
    items: list[tuple[UUID, NotedUse]], zeros: int
) -> None:
    assert read(file_of(items) + bytes(zeros)) == cleaned(items)


@given(written, st.binary(max_size=60))
def test_noise_is_no_use_and_no_error(items: list[tuple[UUID, NotedUse]], noise: bytes) -> None:
    assert read(noise) == []
    assert read(file_of(items) + noise)[: len(items)] == cleaned(items)


def test_a_frame_whose_checksum_is_right_and_whose_content_is_not_ends_the_reading() -> None:
    damaged = frame(KEY, 1, "valid", Use())
    content = b"\x93\x01\x02\x03"
    forged = len(content).to_bytes(4, "little") + checksum_of(content) + content
    assert read(header(7) + damaged + forged + damaged) == [(KEY, (1, "valid", Use()))]


def test_no_secret_is_spooled() -> None:
    text = secret.generate(KEY)
    written = frame(KEY, 1, "valid", Use(path=f"/v1?key={text}", user_agent=text))
    assert text[25:68].encode() not in written
    assert written.count(b"[redacted]") == 2


def checksum_of(content: bytes) -> bytes:
    return zlib.crc32(content, len(content)).to_bytes(4, "little")
