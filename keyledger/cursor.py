"""A cursor: a place in the history as a text for callers, good for one filter and one direction."""

import base64
import hashlib
import struct

import msgspec

from keyledger.domain.errors import InvalidArgument
from keyledger.infrastructure.history_view import HistoryFilter, Place

_FORM = struct.Struct(">BQi8s")
_VERSION = 1
_LONGEST = 64
_LATER = ("credential_id",)
"""Filters that came after cursors were given out, which stay good where these are not asked for."""

_NOWHERE = 1 << 63  # beyond PostgreSQL's numbers


def encode(place: Place, wanted: HistoryFilter, *, descending: bool) -> str:
    """The place as a text of characters that a URL takes as they are."""
    fields = _FORM.pack(_VERSION, place.position, place.taken, _fingerprint(wanted, descending=descending))
    return base64.urlsafe_b64encode(fields).decode()


def decode(cursor: object, wanted: HistoryFilter, *, descending: bool) -> Place:
    """The place of a cursor. Raises InvalidArgument for one of another filter or direction, and for garbage."""
    try:
        fields = base64.urlsafe_b64decode(cursor) if isinstance(cursor, str) and len(cursor) <= _LONGEST else b""
        _, position, taken, _ = _FORM.unpack(fields)
    except (ValueError, struct.error):
        position = taken = _NOWHERE
    place = Place(position=position, taken=taken)
    if position >= _NOWHERE or taken < 0 or encode(place, wanted, descending=descending) != cursor:
        raise InvalidArgument("cursor", "a cursor that the history gave for the same filters and order, or None")
    return place


def _fingerprint(wanted: HistoryFilter, *, descending: bool) -> bytes:
    """Equal for the same filters and the same direction, in every version of keyledger that knows the filters."""
    filters = msgspec.structs.asdict(wanted)
    for later in _LATER:
        if filters[later] is None:
            del filters[later]
    return hashlib.sha256(msgspec.msgpack.encode((filters, descending))).digest()[:8]
