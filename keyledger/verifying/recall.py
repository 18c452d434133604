"""What is decided from memory: the hot path of every verification. It is compiled where that can be done."""

import hashlib
import os
from collections.abc import Callable
from typing import Any

from keyledger.compiled import prefer_compiled
from keyledger.domain.use import Outcome, Use
from keyledger.verification import Verification

_SALT_BYTES = 16
_LONGEST_FIELD = 256  # bytes
_MOST_FIELDS = 10_000
_MOST_ALLOWED = 8


class CachedKey:
    """What is known of a secret: its digest, and what that was found to be, all but for scopes.

    `expires_at` is in Unix seconds, infinite where time changes nothing; `high` and `low` are the halves of the
    key's id. `packed` is what the cache keeps: this is good for as long as it keeps that very object.
    """

    __slots__ = (
        "allowed",
        "answer",
        "code",
        "digest",
        "digits",
        "expires_at",
        "high",
        "key",
        "low",
        "packed",
    )

    def __init__(
        self, digits: str, digest: bytes, expires_at: float, high: int, low: int, code: Outcome, packed: bytes
    ) -> None:
        self.digits = digits
        self.digest = digest
        self.expires_at = expires_at
        self.high = high
        self.low = low
        self.code = code
        self.packed = packed
        self.answer: Verification | None = None
        """What callers get, once somebody has asked."""
        self.key: Any = None
        """The key, if all callers may have the same."""
        self.allowed: tuple[tuple[str, ...], ...] = ()
        """Scopes that it was asked for lately and has."""


class Recall:
    """Decides on cached keys under the lease, and knows the `Authorization` fields that were let in lately.

    That the lease holds and that the key has not changed is looked at last of all: whatever holds up a
    verification on its way, what it accepts then is right.
    """

    def __init__(
        self,
        cache: Any,
        lease: Any,
        recorder: Any,
        clock: Callable[[], float],
        *,
        allows: Callable[[bytes, tuple[str, ...]], bool],
        answer: Callable[[bytes, Outcome], Verification],
    ) -> None:
        """`allows` says whether what is cached has scopes, `answer` makes of it what callers get."""
        self.hits = 0
        """How many secrets were decided on."""
        self._cache = cache
        self._recent = cache.keys.recent
        self._terms = lease.terms  # until when it holds, and how far the database's clock is ahead
        self._recorder = recorder
        self._clock = clock
        self._allows = allows
        self._answer = answer
        self._salted = hashlib.blake2b(os.urandom(_SALT_BYTES), digest_size=32)
        self._by_field: dict[bytes, CachedKey] = {}
        self._longest = _LONGEST_FIELD

    def decide(
        self, cached: CachedKey, wanted: tuple[str, ...], use: Use, now: float
    ) -> Verification | Outcome | None:
        """What becomes of a right secret; else PostgreSQL has to be asked, after the outcome that is returned was
        recorded, or None.
        """
        code, packed, terms = cached.code, cached.packed, self._terms
        if now >= terms[0] or cached.expires_at <= now + terms[1]:
            return None
        if wanted and code == "valid" and wanted not in cached.allowed:
            if self._allows(packed, wanted):
                cached.allowed = (*cached.allowed[1 - _MOST_ALLOWED :], wanted)
            else:
                code = "insufficient_scope"
        self._recorder.record(cached.high, cached.low, code, use)
        # Last of all, and in this order, as the feed drops before it extends. A use that is overtaken here stays
        # on record; the other way round, one that is accepted could be lost.
        now = self._clock()
        if now < terms[0]:
            recent = self._recent[0]
            if recent.get(cached.digits) is packed or self._cache.keeps(cached.digits, packed):
                self.hits += 1
                if code is not cached.code:
                    return self._answer(packed, code)
                if cached.answer is None:
                    cached.answer = self._answer(packed, code)
                return cached.answer
        return code

    def again(self, field: bytes, wanted: tuple[str, ...], use: Use) -> Any:
        """As `decide`, of an `Authorization` field; None too where it is not known, or not with these scopes.

        Where it is accepted, and its claims are not each caller's own, the APIKey itself.
        """
        if type(field) is not bytes or type(wanted) is not tuple or len(field) > self._longest:
            return None
        salted = self._salted.copy()
        salted.update(field)
        digest = salted.digest()
        cached = self._by_field.get(digest)
        if cached is None:
            return None
        recent = self._recent[0]
        if recent.get(cached.digits) is not cached.packed:
            self._by_field.pop(digest, None)
            return None
        if wanted and wanted not in cached.allowed:
            return None
        found = self.decide(cached, wanted, use, self._clock())
        accepted = found is not None and found is cached.answer  # only that of a valid key is known by a field
        return cached.key if accepted and cached.key is not None else found

    def hit(self) -> None:
        """Count a secret that was decided on elsewhere."""
        self.hits += 1

    def keep(self, field: bytes, cached: CachedKey, key: Any) -> None:
        """Know a field again that held the key's secret and was let in; `key` is what all callers may have."""
        if len(field) > self._longest:
            return
        if len(self._by_field) >= _MOST_FIELDS:  # those in use are soon back
            self._by_field = {}
        salted = self._salted.copy()
        salted.update(field)
        cached.key = key
        self._by_field[salted.digest()] = cached


prefer_compiled(__name__)
