"""Uses that wait to be stored, and the flushes that they are stored in."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import Outcome, RecordedUse, Use

T = TypeVar("T")

KEYS_PER_FLUSH = 1_000
USES_PER_EVENT = 10_000
CHARACTERS_PER_EVENT = 1_000_000
CHARACTERS_PER_FLUSH = 4_000_000  # so that what an outage piled up is stored in steps that end within the time-out
_CHARACTERS_PER_ROW = 80  # what a use costs beside its texts


class Flush(msgspec.Struct, frozen=True, kw_only=True):
    """Events of different keys that are stored in one transaction, and once, however often that is tried."""

    id: UUID
    events: tuple[tuple[UUID, KeyUsed], ...]

    @property
    def uses(self) -> int:
        """How many uses it holds."""
        return sum(len(event.rows) for _, event in self.events)


class UseBuffer:
    """Takes uses from any thread; gives all of them away at once as flushes."""

    def __init__(self, refused_limit_per_key: int) -> None:
        """Of a key's refused attempts so many are listed between two drains, the rest are counted."""
        self._refused_limit = refused_limit_per_key
        self._lock = threading.Lock()
        self._pending: deque[tuple[UUID, RecordedUse]] = deque()
        self._refused: Counter[UUID] = Counter()

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, key_id: UUID, occurred_at: datetime, outcome: Outcome, use: Use) -> None:
        """Take a use."""
        recorded = RecordedUse(occurred_at=occurred_at, outcome=outcome, use=use.bounded())
        if outcome == "valid":
            self._pending.append((key_id, recorded))
            return
        with self._lock:
            self._refused[key_id] += 1
            if self._refused[key_id] <= self._refused_limit:
                self._pending.append((key_id, recorded))

    def drain(self) -> list[Flush]:
        """Everything taken so far, as few events as may be, in an order in which no two flushes deadlock."""
        with self._lock:
            taken = [self._pending.popleft() for _ in range(len(self._pending))]
            unlisted, self._refused = self._refused, Counter()
        by_key: dict[UUID, list[RecordedUse]] = {}
        for key_id, recorded in taken:
            unlisted[key_id] -= recorded.outcome != "valid"
            by_key.setdefault(key_id, []).append(msgspec.structs.replace(recorded, use=recorded.use.cleaned()))
        events: dict[int, list[tuple[UUID, KeyUsed]]] = {}
        for key_id, uses in sorted(by_key.items()):
            for layer, event in enumerate(_events(uses, unlisted[key_id])):
                events.setdefault(layer, []).append((key_id, event))  # a flush has one event of a key at most
        return [flush for layer in events.values() for flush in _flushes(layer)]


def _flushes(events: Sequence[tuple[UUID, KeyUsed]]) -> Iterator[Flush]:
    for some in _slices(events, lambda event: _size(event[1]), CHARACTERS_PER_FLUSH, KEYS_PER_FLUSH):
        yield Flush(id=new_uuid(), events=tuple(some))


def _events(uses: Sequence[RecordedUse], refused_unlisted: int) -> Iterator[KeyUsed]:
    for some in _slices(uses, lambda recorded: recorded.use.characters, CHARACTERS_PER_EVENT, USES_PER_EVENT):
        yield KeyUsed.of(some, id=new_uuid(), refused_unlisted=refused_unlisted)
        refused_unlisted = 0


def _size(event: KeyUsed) -> int:
    return sum(map(len, event.texts)) + _CHARACTERS_PER_ROW * len(event.rows)


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
