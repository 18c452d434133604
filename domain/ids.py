"""Identifiers: UUIDs in order of time (RFC 9562, version 7) and the text form of a key's id."""

import os
import re
import struct
import threading
import time
from collections.abc import Iterator
from uuid import UUID

from keyledger.domain.errors import MalformedKeyId

KEY_ID = re.compile(r"ak_([0-9A-Fa-f]{32})")

_LOW = (1 << 64) - 1
_RANDOM = (1 << 62) - 1
_AT_ONCE = 64
_lock = threading.Lock()
_last_tick = 0


def halves(key_id: UUID) -> tuple[int, int]:
    """The high and the low 64 bits of an id."""
    return key_id.int >> 64, key_id.int & _LOW


def new_uuid() -> UUID:
    """A UUIDv7, later than every one this process made before."""
    return _new_uuids(1)[0]


def new_uuids() -> Iterator[UUID]:
    """One after the other, for the caller alone; made some at a time, which costs less.

    Not to be kept: a child forked meanwhile would go on with the same ones.
    """
    while True:
        yield from _new_uuids(_AT_ONCE)


def _new_uuids(count: int) -> list[UUID]:
    """os.urandom and not a library: the known generators keep a random state that a forked child would share."""
    global _last_tick
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    tick = milliseconds << 12 | (rest << 12) // 1_000_000
    with _lock:
        first = max(tick, _last_tick + 1)
        _last_tick = first + count - 1
    randoms = struct.unpack(f"{count}Q", os.urandom(8 * count))
    return [
        UUID(int=(tick >> 12) << 80 | 7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random & _RANDOM)
        for tick, random in enumerate(randoms, first)
    ]


def key_id_text(key_id: UUID) -> str:
    """`ak_` and 32 hexadecimal digits (Clerk's `id`)."""
    return "ak_" + key_id.hex


def parse_key_id(
    text: object,
    *,
    param: str = "api_key_id",
    allowed: str = "a key's id is 'ak_' and 32 hexadecimal digits",
) -> UUID:
    """The UUID of a key's id. Raises MalformedKeyId, which does not repeat the text but says what is allowed."""
    match = KEY_ID.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise MalformedKeyId(param, allowed)
    return UUID(match[1])


def _renew_lock() -> None:
    """Give a forked child a lock that no thread of its parent holds."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
