"""Which accepted uses of a process are not stored yet: their keys' ids, in memory that outlives a killed process.

A use's slot is filled before the verification answers and emptied when the use is stored. The file is mapped, so
filling it is a store to memory, and what `kill -9` leaves in it is what the system writes to the disk. Before a
flush is sent, the slots of its uses are marked with its number: if the process ends then, the ledger says whether
that flush was stored.
"""

import logging
import mmap
import os
import struct
from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Any
from uuid import UUID

import msgspec

from keyledger.compiled import prefer_compiled
from keyledger.infrastructure.uses.files import UseFolder

_log = logging.getLogger("keyledger.uses")

NAME = "journal"

_MAGIC = b"keyledger uses 1"
_HEADER = struct.Struct("<16sQQ")
_WORD = 8
_PIECE = 1 << 20
_LOW = (1 << 64) - 1


class UseJournal:
    """Slots for uses, and counts of the uses that were shed, by key.

    `low`, `high` are the halves of the ids in the slots; a slot whose `high` is 0 is empty. `numbers`
    gives those of which the last bits, `mask`, are the next slot. Recording works on these itself, for speed.
    """

    def __init__(self, folder: UseFolder | None, *, uses: int, shed_keys: int) -> None:
        """For so many uses at once, and so many keys of which uses are shed; with no folder nothing outlives us.

        Raises OSError.
        """
        slots = 1 << (uses - 1).bit_length()
        self.mask = slots - 1
        self.numbers = count()
        size = _HEADER.size + _WORD * 3 * (slots + shed_keys) + _WORD * shed_keys
        memory = mmap.mmap(-1, size) if folder is None else _mapped(folder, size)
        _HEADER.pack_into(memory, 0, _MAGIC, slots, shed_keys)
        self.low, self.high, self._marks, shed = _views(memoryview(memory), slots, shed_keys)
        self._shed_low, self._shed_high, self._shed_marks, self._shed_counts = shed
        self._shed: dict[int, int] = {}
        self._shed_free = list(range(shed_keys))

    def mark(self, slots: "array[int]", number: int) -> None:
        """These uses are about to be sent as the flush of this number."""
        marks, column = self._marks, memoryview(slots)
        for place in range(len(slots)):
            marks[column[place]] = number

    def clear(self, slots: "array[int]") -> None:
        """These uses are stored."""
        high, marks, column = self.high, self._marks, memoryview(slots)
        for place in range(len(slots)):
            slot = column[place]
            high[slot] = 0
            marks[slot] = 0

    def shed(self, number: int) -> bool:
        """Count a use of a key that is not kept; False where the keys are too many for it.

        For one thread at a time.
        """
        place = self._shed.get(number)
        if place is None:
            if not self._shed_free:
                return False
            place = self._shed[number] = self._shed_free.pop()
            self._shed_counts[place] = 0
            self._shed_low[place] = number & _LOW
            self._shed_high[place] = number >> 64
        self._shed_counts[place] += 1
        return True

    @property
    def has_shed(self) -> bool:
        """Whether there are counts that were not taken."""
        return bool(self._shed)

    def take_shed(self, keys: int, number: int) -> "Shed":
        """What was shed of so many keys at most, about to be sent as the flush of this number."""
        taken = Shed()
        for key in list(self._shed)[:keys]:
            place = self._shed.pop(key)
            self._shed_marks[place] = number
            taken.counts[UUID(int=key)] = self._shed_counts[place]
            taken.places.append(place)
        return taken

    def clear_shed(self, places: Iterable[int]) -> None:
        """These counts are stored."""
        for place in places:
            self._shed_high[place] = 0
            self._shed_marks[place] = 0
            self._shed_free.append(place)


class Shed(msgspec.Struct):
    """Counts of shed uses by key, and where they stand."""

    counts: dict[UUID, int] = {}
    places: list[int] = []


def unstored(data: bytes, progress: int) -> Counter[UUID]:
    """How many uses of each key a process left behind that are in no flush up to the one of number `progress`.

    `data` is the whole file. Of one that is damaged or cut short nothing is known, which is said.
    """
    lost: Counter[UUID] = Counter()
    if not any(data[: _HEADER.size]):  # its process ended before it recorded anything
        return lost
    magic, slots, shed_keys = _HEADER.unpack_from(data.ljust(_HEADER.size, b"\0"))
    if magic != _MAGIC or len(data) < _HEADER.size + _WORD * (3 * slots + 4 * shed_keys):
        _log.error("the journal of a process that ended is damaged: the uses that it lost are not known")
        return lost
    low, high, marks, shed = _views(memoryview(data), slots, shed_keys)
    for half, other, mark in zip(low, high, marks, strict=True):
        if other and not 0 < mark <= progress:
            lost[UUID(int=other << 64 | half)] += 1
    for half, other, mark, number in zip(*shed, strict=True):
        if other and number and not 0 < mark <= progress:
            lost[UUID(int=other << 64 | half)] += number
    return lost


def _mapped(folder: UseFolder, size: int) -> mmap.mmap:
    descriptor = folder.open(NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        _reserve(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def _reserve(descriptor: int, size: int) -> None:
    """Have the disk give the room now: a store to memory that it has no room for would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    while size > 0:
        size -= os.write(descriptor, bytes(min(size, _PIECE)))


def _views(memory: memoryview, slots: int, shed_keys: int) -> tuple[Any, Any, Any, tuple[Any, Any, Any, Any]]:
    """Arrays of 64-bit numbers: three of the slots, four of the shed keys."""
    start = _HEADER.size
    found = []
    for length in (slots, slots, slots, shed_keys, shed_keys, shed_keys, shed_keys):
        found.append(memory[start : start + _WORD * length].cast("Q"))
        start += _WORD * length
    return found[0], found[1], found[2], (found[3], found[4], found[5], found[6])


prefer_compiled(__name__)
