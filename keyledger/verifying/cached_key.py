"""A key as the cache keeps it, in bytes, and as a verification needs it."""

import json
import math
import secrets
import struct
from collections.abc import Callable
from functools import lru_cache
from uuid import UUID

import msgspec

from keyledger.api_key import APIKey, api_key
from keyledger.domain.ids import halves
from keyledger.domain.scopes import Grant
from keyledger.domain.use import OUTCOME_NUMBERS, OUTCOMES, Outcome
from keyledger.infrastructure.key_view import KeyView
from keyledger.infrastructure.verifying.key_cache import READY_ENTRIES, KeyCache
from keyledger.verification import Verification
from keyledger.verifying.recall import CachedKey

_MADE_PER_READY = 32
"""One of so many is kept: to keep each would cost more than to make again those that are used again."""

_HEAD = struct.Struct("<32sdQQB")
_STAND_IN_BYTES = 120
_VIEW = slice(_HEAD.size, None)
_unpack_head = _HEAD.unpack_from
_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder = msgspec.msgpack.Decoder(KeyView)


NO_KEY = CachedKey("", b"", 0.0, 0, 0, "not_found", b"")


def pack(digest: bytes, view: KeyView, code: Outcome) -> bytes:
    """A key with the digest of its secret and what that was found to be: valid, revoked or expired."""
    waits = code == "valid" and view.expiration is not None
    expires_at = view.expiration.timestamp() if waits and view.expiration else math.inf
    return _HEAD.pack(digest, expires_at, *halves(view.id), OUTCOME_NUMBERS[code]) + _encoder.encode(view)


def stand_in(key_id: UUID) -> bytes:
    """What is kept where there is no key of an id: as a key is, with a digest that no secret has."""
    digest, code = secrets.token_bytes(32), OUTCOME_NUMBERS["not_found"]
    return _HEAD.pack(digest, math.inf, *halves(key_id), code) + bytes(_STAND_IN_BYTES)


class CachedKeys:
    """Cached keys made of what a cache keeps; those that are used again and again are made once."""

    def __init__(self, cache: KeyCache[CachedKey], get: Callable[[str], APIKey]) -> None:
        """`get` is how keys are reloaded."""
        self._cache = cache
        self._get = get
        self._made = 0
        self._grant = lru_cache(READY_ENTRIES)(self._granted)
        self._known = lru_cache(READY_ENTRIES)(self._read)

    def make(self, digits: str) -> CachedKey:
        """The cached key that is not ready, by the id's digits; NO_KEY where PostgreSQL has to be asked."""
        packed = self._cache.keys.recent[0].get(digits) or self._cache.get(digits)
        if packed is None:
            return NO_KEY
        digest, expires_at, high, low, number = _unpack_head(packed)
        cached = CachedKey(digits, digest, expires_at, high, low, OUTCOMES[number], packed)
        self._made += 1
        if self._made % _MADE_PER_READY == 0:
            self._cache.make_ready(digits, cached)
        return cached

    def answer(self, packed: bytes, code: Outcome) -> Verification:
        """What callers get; the key they get when they look at it."""
        return Verification(valid=code == "valid", code=code, _found=packed, _key_of=self._key)

    def allows(self, packed: bytes, wanted: tuple[str, ...]) -> bool:
        """Whether the key has the scopes that a call needs."""
        return self._grant(packed).allows(wanted)

    def shared_key(self, packed: bytes) -> APIKey | None:
        """The key where all callers may have the same one; None where its claims are each caller's own."""
        key, claims = self._known(packed)
        return key if claims is None else None

    def _key(self, packed: bytes) -> APIKey:
        """The key; its claims are the caller's own, who may change them."""
        key, claims = self._known(packed)
        return key if claims is None else msgspec.structs.replace(key, claims=json.loads(claims))

    def _read(self, packed: bytes) -> tuple[APIKey, str | None]:
        view = _decoder.decode(memoryview(packed)[_VIEW])
        return api_key(view, self._get), view.claims

    def _granted(self, packed: bytes) -> Grant:
        return Grant.of(self._known(packed)[0].scopes)
