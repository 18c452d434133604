"""Keys in memory, as bytes: a million of them cost the garbage collector nothing."""

import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from keyledger.domain.digest import Digest
from keyledger.infrastructure.verifying.generations import Generations

T = TypeVar("T")

READY_ENTRIES = 10_000
REFUSING_ENTRIES = 10_000


class Refusing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The digest that secrets of an id are held against, and what stands for the key where there is none.

    Then both are such that no secret goes with them: to refuse a secret takes the same steps, whether its key
    exists or not, so that how long it takes does not tell.
    """

    digits: str
    digest: Digest
    stand_in: bytes | None = None

    @property
    def is_of_a_key(self) -> bool:
        """Whether there is a key of the id."""
        return self.stand_in is None


class Fill:
    """A question about a key that is on its way to PostgreSQL, and whether its answer is still to be believed.

    It is not once the feed has told of a change of the key: the answer may be from before it.
    """

    __slots__ = ("digits", "live", "server")

    def __init__(self, digits: str, server: str | None) -> None:
        self.digits = digits
        self.server = server
        self.live = server is not None


class KeyCache(Generic[T]):
    """What is known of keys, at most so many, by the id's digits in their secrets.

    Whoever has what is kept of a key, or what was made of it, looks before he answers with it whether that is
    still what is kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most_refusing = max(1, min(limit // 4, REFUSING_ENTRIES))
        self.misses = 0
        self.keys: Generations[str, bytes] = Generations(limit)
        """For speed, `keys.recent[0]` is open to a reader without a lock, and so is `ready.recent[0]`."""
        self.begin()

    def begin(self) -> None:
        """Empty: at first, and in a forked child."""
        self._lock = threading.Lock()
        self._server: str | None = None
        self._fills: dict[str, list[Fill]] = {}
        self.keys.clear()
        self.ready: Generations[str, T] = Generations(min(self._limit, READY_ENTRIES))
        """What was made of what is kept of the keys in use; it may be out of date."""
        self._refusing: Generations[str, Refusing] = Generations(self._most_refusing)

    def __len__(self) -> int:
        return len(self.keys)

    def get(self, digits: str) -> bytes | None:
        """What is kept of a key, which is recent from now on; None where PostgreSQL has to be asked."""
        with self._lock:
            return self.keys.get(digits)

    def make_ready(self, digits: str, made: T) -> None:
        """Have at hand what was made of what is kept of a key."""
        with self._lock:
            self.ready.put(digits, made)

    def keeps(self, digits: str, packed: bytes) -> bool:
        """Whether this very object is what is kept of a key; if not, what was made of it is not ready any more."""
        with self._lock:
            if self.keys.get(digits) is packed:
                return True
            self.ready.pop(digits)
        return False

    def fill(self, digits: str) -> Fill:
        """Take note, before it is sent, of a question about a key; `finish` must follow."""
        with self._lock:
            fill = Fill(digits, self._server)
            self._fills.setdefault(digits, []).append(fill)
        return fill

    def store(self, fill: Fill, packed: bytes) -> None:
        """Keep the answer to a question, unless it is not to be believed."""
        with self._lock:
            if fill.live:
                self.keys.put(fill.digits, packed)
                self.ready.pop(fill.digits)

    def refusing(self, digits: str) -> Refusing | None:
        """What wrong secrets of a key, or of no key, are told by; None where PostgreSQL has to be asked."""
        with self._lock:
            return self._refusing.get(digits)

    def store_refusing(self, fill: Fill, refusing: Refusing) -> None:
        """Keep what a wrong secret was told by, unless that is not to be believed.

        Stand-ins are kept among the keys, and there are no more of them than of these.
        """
        with self._lock:
            if fill.live:
                forgotten = self._refusing.put(refusing.digits, refusing)
                if forgotten is not None and forgotten.stand_in is not None:
                    self._forget_stand_in(forgotten)
                if refusing.stand_in is not None:
                    self.keys.put(refusing.digits, refusing.stand_in)

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
                self.keys.pop(digits)
                self.ready.pop(digits)
                self._refusing.pop(digits)
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
            self.keys.clear()
            self.ready = Generations(min(self._limit, READY_ENTRIES))
            self._refusing = Generations(self._most_refusing)

    def _forget_stand_in(self, refusing: Refusing) -> None:
        if self.keys.get(refusing.digits) is refusing.stand_in:
            self.keys.pop(refusing.digits)
        self.ready.pop(refusing.digits)
