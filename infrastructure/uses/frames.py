"""Uses as frames of a spool: each says how long it is and carries a checksum, so that damage shows."""

import struct
import zlib
from collections.abc import Iterator
from uuid import UUID

import msgspec

from keyledger.domain.use import OUTCOME_NUMBERS, OUTCOMES, Outcome, Use, clean

HEADER = struct.Struct("<8sQII")
"""A file's beginning: what it is, the place in the process's uses that it begins at, zeros, a checksum."""

_MAGIC = b"klspool1"
_FRAME = struct.Struct("<II")
_LONGEST = 1 << 16
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(
    tuple[bytes, int, int, str | None, str | None, str | None, str | None, str | None]
)


NotedUse = tuple[int, Outcome, Use]
"""A use as it was taken note of: when it was, in microseconds since 1970, how it ended, and its request."""


class Frame(msgspec.Struct, frozen=True):
    """A use of a key as it stands in a spool; `end` is where it ends in the file."""

    end: int
    key_id: UUID
    use: NotedUse


def header(base: int) -> bytes:
    """The beginning of a file whose first frame is at `base` in the process's uses."""
    fields = HEADER.pack(_MAGIC, base, 0, 0)[:-4]
    return fields + zlib.crc32(fields).to_bytes(4, "little")


def base_of(data: bytes) -> int | None:
    """Where a file begins in the process's uses; None where it does not begin as one must."""
    if len(data) < HEADER.size or HEADER.unpack_from(data)[0] != _MAGIC:
        return None
    base = int(HEADER.unpack_from(data)[1])
    return base if data[: HEADER.size] == header(base) else None


def frame(key_id: UUID, moment: int, outcome: Outcome, use: Use) -> bytes:
    """A use as it is written; secrets in its texts are blacked out."""
    texts = (use.ip_address, use.user_agent, use.method, use.path, use.request_id)
    payload = _encoder.encode(
        (
            key_id.bytes,
            moment,
            OUTCOME_NUMBERS[outcome],
            *(text if text is None else clean(text) for text in texts),
        )
    )
    return _FRAME.pack(len(payload), _checksum(len(payload), payload)) + payload


def frames(data: bytes, start: int = HEADER.size) -> Iterator[Frame]:
    """The whole frames from a place on, up to the end or the first that is damaged."""
    view = memoryview(data)
    while start + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, start)
        begin, end = start + _FRAME.size, start + _FRAME.size + length
        if not 0 < length <= _LONGEST or end > len(data):
            return
        payload = view[begin:end]
        if _checksum(length, payload) != checksum:
            return
        try:
            key, moment, outcome, *texts = _decoder.decode(payload)
            noted = (moment, OUTCOMES[outcome], Use(**dict(zip(Use.__struct_fields__, texts, strict=True))))
            yield Frame(end, UUID(bytes=key), noted)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, IndexError):
            return
        start = end


def is_torn(data: bytes, start: int) -> bool:
    """Whether what follows is the beginning of one frame: what a process leaves that is killed while it writes."""
    rest = len(data) - start
    return rest < _FRAME.size or rest < _FRAME.size + min(_FRAME.unpack_from(data, start)[0], _LONGEST)


def _checksum(length: int, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, length)
