"""The flushes in which uses are stored: events, as few as may be."""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from keyledger.domain.events import Event, KeyUsed, UsesLost
from keyledger.domain.ids import new_uuid, new_uuids
from keyledger.domain.microseconds import moment_of
from keyledger.domain.packing import pack
from keyledger.domain.use import cleaned
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.uses.pending import Pending, accepted_span, by_key, columns, slots_of

T = TypeVar("T")

KEYS_PER_FLUSH = 1_000
USES_PER_EVENT = 12_000  # some more than a flush waits for by default, so that this is one event of a busy key
CHARACTERS_PER_EVENT = 1_000_000
BYTES_PER_FLUSH = 4_000_000  # so that what an outage piled up is stored in steps that end within the time-out


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event of a key as it is stored, and when the first and the last accepted use in it were."""

    key_id: UUID
    state: bytes
    first_used_at: datetime | None = None
    last_used_at: datetime | None = None


class Flush(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one topic and of different keys, which are stored in one transaction."""

    topic: str
    entries: Sequence[Entry]
    uses: int
    slots: "array[int]" = msgspec.field(default_factory=lambda: array("q"))


class _Part(msgspec.Struct, gc=False):
    """An entry with what it holds."""

    entry: Entry
    uses: int
    slots: "array[int]"


def used(codec: EventCodec, pending: list[Pending], unlisted: Counter[int] | None = None) -> list[Flush]:
    """The flushes of uses, as few events as may be, in an order in which no two flushes deadlock.

    `unlisted` counts refused attempts, by the key's number, beyond those that are among the uses.
    """
    uses = by_key(pending)
    for number in unlisted or ():
        uses.setdefault(number, [])
    layers: dict[int, list[_Part]] = {}
    ids = new_uuids()
    for number in sorted(uses):
        key_id, refused = UUID(int=number), unlisted[number] if unlisted else 0
        for layer, part in enumerate(_parts(codec, ids, key_id, uses[number], refused)):
            layers.setdefault(layer, []).append(part)  # a flush has one event of a key at most
    return [flush for parts in layers.values() for flush in _flushes(parts)]


def lost(codec: EventCodec, counts: Iterable[tuple[UUID, int]], cause: str, now: datetime) -> Flush:
    """The flush that says how many uses of which keys are lost."""
    ordered = sorted(counts)
    events = [
        (key_id, UsesLost(id=new_uuid(), occurred_at=now, actor=None, count=count, cause=cause))
        for key_id, count in ordered
    ]
    entries = [Entry(key_id=key_id, state=codec.encode(event)) for key_id, event in events]
    return Flush(topic=UsesLost.topic, entries=entries, uses=sum(count for _, count in ordered))


def _flushes(parts: Sequence[_Part]) -> Iterator[Flush]:
    for some in _slices(parts, lambda part: len(part.entry.state), BYTES_PER_FLUSH, KEYS_PER_FLUSH):
        slots = array("q")
        for part in some:
            slots.extend(part.slots)
        yield Flush(
            topic=KeyUsed.topic,
            entries=[part.entry for part in some],
            uses=sum(part.uses for part in some),
            slots=slots,
        )


def _parts(
    codec: EventCodec, ids: Iterator[UUID], key_id: UUID, uses: list[Pending], unlisted: int
) -> Iterator[_Part]:
    if len(uses) > USES_PER_EVENT:
        yield from _parts(codec, ids, key_id, uses[:USES_PER_EVENT], unlisted)
        yield from _parts(codec, ids, key_id, uses[USES_PER_EVENT:], 0)
        return
    moments, outcomes, requests = columns(uses)
    start = moments[0] if moments else time.time_ns() // 1000
    texts, packed = pack(moments, outcomes, requests, start)
    if len(uses) > 1 and sum(map(len, texts)) > CHARACTERS_PER_EVENT:
        half = len(uses) // 2
        yield from _parts(codec, ids, key_id, uses[:half], unlisted)
        yield from _parts(codec, ids, key_id, uses[half:], 0)
        return
    began = moment_of(start)
    event: Event = KeyUsed(
        id=next(ids),
        occurred_at=began,
        actor=None,
        texts=cleaned(texts),
        columns=packed,
        refused_unlisted=unlisted,
    )
    first, last = accepted_span(moments, outcomes)
    first_used_at = None if first is None else began if first == start else moment_of(first)
    last_used_at = None if last is None else began if last == start else moment_of(last)
    entry = Entry(key_id=key_id, state=codec.encode(event), first_used_at=first_used_at, last_used_at=last_used_at)
    yield _Part(entry, len(uses), slots_of(uses))


def _slices(items: Sequence[T], size: Callable[[T], int], most: int, count: int) -> Iterator[Sequence[T]]:
    """The items in their order, so many or of such a size at most together; one at least."""
    start = total = 0
    for place, item in enumerate(items):
        weight = size(item)
        if place > start and (place - start == count or total + weight > most):
            yield items[start:place]
            start, total = place, 0
        total += weight
    if items:
        yield items[start:]
