"""A key as the cache keeps it: packed in bytes, and unpacked into the answer that callers get."""

import json
import math
from collections.abc import Callable
from uuid import UUID

import msgspec

from keyledger.api_key import APIKey
from keyledger.domain.ids import key_id_text
from keyledger.domain.use import Outcome
from keyledger.infrastructure.verifying.key_cache import DIGEST_BYTES, Entry
from keyledger.verification import Verification


class _Packed(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """`key` is without its ledger and its id, which is here already.

    Its claims are JSON text, so that they are read as they are from a row.
    """

    key_id: UUID
    code: Outcome
    expires_at: float
    key: APIKey


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder = msgspec.msgpack.Decoder(_Packed)


def pack(key_id: UUID, code: Outcome, key: APIKey, claims: str | None) -> bytes:
    """A key with what its secret was found to be, all but for scopes: valid, revoked or expired."""
    waits = code == "valid" and key.expiration is not None
    packed = _Packed(
        key_id=key_id,
        code=code,
        expires_at=key.expiration.timestamp() if waits and key.expiration else math.inf,
        key=msgspec.structs.replace(key, id="", claims=claims, _get=None),
    )
    return _encoder.encode(packed)


class Unpacker:
    """Makes entries whose keys can be reloaded from their ledger."""

    get: Callable[[str], APIKey] | None = None

    def __call__(self, digits: str, packed: bytes) -> Entry:
        """The entry of what was packed, behind the digest."""
        found = _decoder.decode(memoryview(packed)[DIGEST_BYTES:])
        key = found.key
        msgspec.structs.force_setattr(key, "id", key_id_text(found.key_id))
        msgspec.structs.force_setattr(key, "_get", self.get)
        if key.claims is not None:
            msgspec.structs.force_setattr(key, "claims", json.loads(key.claims))
        return Entry(
            digits=digits,
            key_id=found.key_id,
            code=found.code,
            expires_at=found.expires_at,
            packed=packed,
            answer=Verification(valid=found.code == "valid", code=found.code, api_key=key),
        )
