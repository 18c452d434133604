"""Identifiers: UUIDs in order of time (RFC 9562, version 7) and the text form of a key's id."""

import os
import re
import threading
import time
from uuid import UUID

from keyledger.domain.errors import MalformedKeyId

KEY_ID = re.compile(r"ak_([0-9A-Fa-f]{32})")

_lock = threading.Lock()
_last_tick = 0


def new_uuid() -> UUID:
    """A UUIDv7, later than every one this process made before.

    os.urandom and not a library: the known generators keep a random state that a forked child would share.
    """
    global _last_tick
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    tick = milliseconds << 12 | (rest << 12) // 1_000_000
    with _lock:
        _last_tick = tick = max(tick, _last_tick + 1)
    random = int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1
    return UUID(int=(tick >> 12) << 80 | 7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random)


def key_id_text(key_id: UUID) -> str:
    """`ak_` and 32 hexadecimal digits (Clerk's `id`)."""
    return "ak_" + key_id.hex


def parse_key_id(text: object) -> UUID:
    """The UUID of a key's id. Raises MalformedKeyId, which does not repeat the text."""
    match = KEY_ID.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise MalformedKeyId("api_key_id", "a key's id is 'ak_' and 32 hexadecimal digits")
    return UUID(match[1])


def _renew_lock() -> None:
    """Give a forked child a lock that no thread of its parent holds."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
