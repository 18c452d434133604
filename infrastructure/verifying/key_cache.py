"""Keys in memory: many as packed bytes, and those in use now ready to be answered with.

An entry is found by the digest of a whole secret, and only right secrets have one. Nothing here is tracked by the
garbage collector but the few that are in use: a million keys cost it nothing.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import msgspec

from keyledger.domain.scopes import Grant
from keyledger.domain.use import Outcome
from keyledger.infrastructure.verifying.generations import Generations

DIGEST_BYTES = 32
READY_ENTRIES = 10_000
ABSENT_ENTRIES = 10_000
_UNPACKINGS = 8


class Entry(msgspec.Struct, kw_only=True, gc=False):
    """What is known of a secret. Whoever has an entry looks whether it is still `live` before he uses it.

    `expires_at` is in Unix seconds, infinite where time changes nothing; `answer` is what the caller gets; `grant`
    is what its scopes allow, once somebody has asked. `live` is None for one that was unpacked for one use: then
    the cache knows it.
    """

    digits: str
    key_id: UUID
    code: Outcome
    expires_at: float
    answer: Any
    packed: bytes
    grant: Grant | None = None
    live: bool | None = None


class Fill:
    """A question about a key that is on its way to PostgreSQL, and whether its answer is still to be believed.

    It is not once the feed has told of a change of the key: the answer may be from before it.
    """

    __slots__ = ("digits", "live", "server")

    def __init__(self, digits: str, server: str | None) -> None:
        self.digits = digits
        self.server = server
        self.live = server is not None


class KeyCache:
    """Entries by the digest of their secret, at most so many. Keys go by the id's digits in their secret."""

    def __init__(self, limit: int, build: Callable[[str, bytes], Entry]) -> None:
        """`build` makes an entry of the digits, and of what was packed behind the digest."""
        self._limit = limit
        self._build = build
        self.hits = 0
        self.misses = 0
        self.begin()

    def begin(self) -> None:
        """Empty: at first, and in a forked child."""
        self._lock = threading.Lock()
        self._server: str | None = None
        self._fills: dict[str, list[Fill]] = {}
        self._packed: Generations[str, bytes] = Generations(self._limit)
        self._ready: Generations[bytes, Entry] = Generations(min(self._limit, READY_ENTRIES))
        self._digests: dict[str, bytes] = {}
        self._absent: Generations[str, bool] = Generations(min(self._limit, ABSENT_ENTRIES))
        self._unpackings = 0

    def __len__(self) -> int:
        return len(self._packed)

    def get(self, digest: bytes, digits: str) -> Entry | None:
        """The entry of a secret; None where PostgreSQL has to be asked."""
        entry = self._ready.recent.get(digest)
        return self._find(digest, digits) if entry is None else entry

    def holds(self, entry: Entry) -> bool:
        """Whether an entry that was unpacked for one use is what is known still; at times False in doubt."""
        return self._packed.recent.get(entry.digits) is entry.packed

    def fill(self, digits: str) -> Fill:
        """Take note, before it is sent, of a question about a key; `finish` must follow."""
        with self._lock:
            fill = Fill(digits, self._server)
            self._fills.setdefault(digits, []).append(fill)
        return fill

    def store(self, fill: Fill, digest: bytes, packed: bytes) -> None:
        """Keep the answer to a question, unless it is not to be believed."""
        with self._lock:
            if fill.live:
                self._retire(fill.digits)
                self._packed.put(fill.digits, digest + packed)

    def is_absent(self, digits: str) -> bool:
        """Whether it is known that there is no such key."""
        if digits in self._absent.recent:
            return True
        with self._lock:
            return self._absent.get(digits) is not None

    def store_absent(self, fill: Fill) -> None:
        """Keep that there is no such key, unless that is not to be believed."""
        with self._lock:
            if fill.live:
                self._absent.put(fill.digits, True)

    def finish(self, fill: Fill) -> None:
        """Forget a question."""
        with self._lock:
            fills = self._fills.get(fill.digits)
            if fills is not None and fill in fills:
                fills.remove(fill)
                if not fills:
                    del self._fills[fill.digits]

    def open(self, server: str) -> None:
        """From now on the feed tells of every change on this server, so answers of it may be kept."""
        with self._lock:
            self._server = server

    def drop(self, changed: Iterable[str]) -> None:
        """Forget keys that changed, and have what is on its way about them not believed."""
        for digits in changed:
            with self._lock:
                self._packed.pop(digits)
                self._absent.pop(digits)
                self._retire(digits)
                for fill in self._fills.pop(digits, ()):
                    fill.live = False

    def clear(self) -> None:
        """Forget everything, and keep nothing until it is opened again."""
        with self._lock:
            self._server = None
            for fills in self._fills.values():
                for fill in fills:
                    fill.live = False
            self._fills = {}
            for digits in tuple(self._digests):
                self._retire(digits)
            self._packed = Generations(self._limit)
            self._absent = Generations(min(self._limit, ABSENT_ENTRIES))

    def _find(self, digest: bytes, digits: str) -> Entry | None:
        packed = self._packed.recent.get(digits)
        if packed is None:
            with self._lock:
                packed = self._packed.get(digits)
        if packed is None or not packed.startswith(digest):
            return None
        entry = self._build(digits, packed)
        self._unpackings += 1
        if self._unpackings % _UNPACKINGS:  # to keep each would cost more than to unpack those that are used again
            return entry
        with self._lock:
            if self._packed.get(digits) is not packed:  # it changed while the entry was built
                return None
            return self._make_ready(digest, entry)

    def _make_ready(self, digest: bytes, entry: Entry) -> Entry:
        ready = self._ready.get(digest)
        if ready is not None:
            return ready
        entry.live = True
        forgotten = self._ready.put(digest, entry)
        self._digests[entry.digits] = digest
        if forgotten is not None:  # a later change would not find it
            forgotten.live = False
            self._digests.pop(forgotten.digits, None)
        return entry

    def _retire(self, digits: str) -> None:
        digest = self._digests.pop(digits, None)
        entry = None if digest is None else self._ready.pop(digest)
        if entry is not None:
            entry.live = False
