"""The keyed digest of a secret: all that is stored of it.

HMAC-SHA-256(pepper, "v1" ‖ key id ‖ secret). Never a slow hash: a secret has 256 random bits, so guessing it
from its digest is hopeless however fast the digest is (OWASP ASVS 5.0, 6.5.2).
"""

import hmac
import re
import secrets
import sys
from collections.abc import Mapping
from uuid import UUID

import msgspec

from keyledger.domain.errors import InvalidArgument, PepperUnavailable

ALGORITHM = sys.intern("hmac-sha256-v1")
NO_PEPPER = "none"
PEPPER_BYTES = 32

_KID = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Digest(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A secret's digest: the algorithm, the id of the pepper (`kid`) and 32 bytes.

    There is one object of each text, wherever it was read: to compare two takes the same time.
    """

    algorithm: str
    kid: str
    value: bytes

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "algorithm", sys.intern(self.algorithm))
        msgspec.structs.force_setattr(self, "kid", sys.intern(self.kid))


class Peppers:
    """The peppers by their ids; the first one makes new digests, the others check older ones.

    With none, the HMAC's key is empty (kid `none`): as strong against guessing, but whoever can write to the
    table could make a digest of his own.
    """

    def __init__(self, peppers: Mapping[str, bytes]) -> None:
        if not isinstance(peppers, Mapping):
            raise InvalidArgument("peppers", "a mapping of a pepper's id to its bytes")
        for kid, pepper in peppers.items():
            if not isinstance(kid, str) or not _KID.fullmatch(kid) or kid == NO_PEPPER:
                raise InvalidArgument("peppers", "a pepper's id is 1 to 32 of A-Z a-z 0-9 . _ -, and not 'none'")
            if not isinstance(pepper, bytes) or len(pepper) < PEPPER_BYTES:
                raise InvalidArgument("peppers", f"a pepper is at least {PEPPER_BYTES} random bytes")
        self._peppers = {sys.intern(kid): pepper for kid, pepper in {**peppers, NO_PEPPER: b""}.items()}
        self._keyed = {kid: hmac.new(pepper, digestmod="sha256") for kid, pepper in self._peppers.items()}
        self.current = next(iter(self._peppers))

    def __repr__(self) -> str:
        return f"Peppers({', '.join(self._peppers)})"

    def digest(self, key_id: UUID, secret: str) -> Digest:
        """The digest to store for a new secret."""
        return Digest(algorithm=ALGORITHM, kid=self.current, value=self._hmac(self.current, key_id, secret))

    def nobodys(self) -> Digest:
        """One that no secret has."""
        return Digest(algorithm=ALGORITHM, kid=self.current, value=secrets.token_bytes(32))

    def matches(self, digest: Digest | None, key_id: UUID, secret: str) -> bool:
        """Whether the digest is the secret's, in constant time; with no digest, False after the same work.

        Raises PepperUnavailable when this process lacks the pepper.
        """
        if digest is None:
            digest = self.nobodys()
        if digest.algorithm != ALGORITHM or digest.kid not in self._peppers:
            raise PepperUnavailable(_lacks(digest))
        return hmac.compare_digest(self._hmac(digest.kid, key_id, secret), digest.value)

    def fingerprints(self) -> dict[str, bytes]:
        """What tells one pepper from another, and nothing about it, by their ids."""
        return {kid: hmac.digest(pepper, b"keyledger pepper", "sha256") for kid, pepper in self._peppers.items()}

    def _hmac(self, kid: str, key_id: UUID, secret: str) -> bytes:
        keyed = self._keyed[kid].copy()
        keyed.update(b"v1" + key_id.bytes + secret.encode("ascii"))
        return keyed.digest()


def _lacks(digest: Digest) -> str:
    if digest.algorithm != ALGORITHM:
        return f"the key's digest was made by {digest.algorithm!r}, which this version of keyledger does not know"
    return (
        f"the key was made with the pepper {digest.kid!r}, which this process was not given;"
        " add it to KEYLEDGER_PEPPERS or Settings.peppers"
    )
