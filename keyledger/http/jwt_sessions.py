"""Session tokens that are JWTs (RFC 7519), as Clerk's are, checked with public keys alone."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keyledger.domain.actor import Actor
from keyledger.domain.errors import InvalidArgument

_TOKEN_CHARACTERS = 16_384
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_REQUIRED = ["exp", "sub"]
_RSA_BITS = 2048
"""No shorter key is taken (RFC 7518, section 3.3)."""
_PENDING = "pending"
"""Clerk's status (`sts`) of a session whose user has still something to do, who is not signed in until then."""


class JWTSessions:
    """Knows who is signed in by a session token's signature and claims.

    The user is the claim `sub`; the active organization `org_id`, or `id` within `o`, as in Clerk's tokens of
    version 2. Only asymmetric algorithms are taken: those of the keys.
    """

    def __init__(
        self,
        *,
        jwks_file: str | os.PathLike[str] | None = None,
        public_key: str | bytes | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        authorized_parties: Collection[str] = (),
        leeway_seconds: float = 5.0,
    ) -> None:
        """Give either a file with a JWK set (RFC 7517), which is read again when it has changed, or a key in PEM.

        Each token has the file looked at: a key that is taken out of it is trusted no more. While it cannot be
        read, the keys of before stay.

        issuer, audience: what `iss` and `aud` must be; with no audience, a token that names one is refused.
        authorized_parties: the origins that `azp` may name, where the token names one; none to allow all.
        leeway_seconds: by so much clocks may differ. Raises InvalidArgument.
        """
        if (jwks_file is None) is (public_key is None):
            raise InvalidArgument("jwks_file", "either a file with a JWK set or a public_key")
        self._issuer = issuer
        self._audience = audience
        self._parties = frozenset(authorized_parties)
        self._leeway = leeway_seconds
        self._file = None if jwks_file is None else Path(jwks_file)
        self._read_at: tuple[int, ...] | None = None
        self._keys: Mapping[str | None, tuple[Any, str]] = {}
        if public_key is not None:
            self._keys = {None: _pem_key(public_key)}
        elif not self._refreshed():
            allowed = "a readable file with a JWK set that has a public key with an id, for signatures"
            raise InvalidArgument("jwks_file", f"{allowed}; RSA of {_RSA_BITS} bits or more")

    def __call__(self, token: str) -> Actor | None:
        """Whose session it is; None for a token that is not accepted."""
        if len(token) > _TOKEN_CHARACTERS:
            return None
        try:
            return self._actor(token)
        except (jwt.PyJWTError, InvalidArgument):  # the latter of claims that no id can be
            return None

    def _actor(self, token: str) -> Actor | None:
        found = self._key(jwt.get_unverified_header(token).get("kid"))
        if found is None:
            return None
        key, algorithm = found
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=self._leeway,
            options={"require": _REQUIRED},
        )
        if not self._allows(claims.get("azp")) or claims.get("sts") == _PENDING:
            return None
        organization = claims.get("org_id")
        if organization is None and isinstance(claims.get("o"), dict):
            organization = claims["o"].get("id")
        return Actor(user_id=claims["sub"], organization_id=organization)

    def _allows(self, party: object) -> bool:
        if not self._parties or party is None:
            return True
        return isinstance(party, str) and party in self._parties

    def _key(self, kid: object) -> tuple[Any, str] | None:
        if self._file is None:
            return self._keys[None]
        self._refreshed()
        return self._keys.get(kid) if isinstance(kid, str) else None

    def _refreshed(self) -> bool:
        """Whether the file had changed, and could be read."""
        assert self._file is not None
        try:
            found = self._file.stat()
            version = found.st_mtime_ns, found.st_size, found.st_ino
            if version == self._read_at:
                return False
            self._keys = dict(_jwks_keys(json.loads(self._file.read_bytes())))
        except (OSError, ValueError):
            return False  # the keys of before stay
        self._read_at = version
        return bool(self._keys)


def _pem_key(pem: str | bytes) -> tuple[Any, str]:
    try:
        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS:
        return key, "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key, _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key, "EdDSA"
    raise InvalidArgument(
        "public_key", "a public key in PEM: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519"
    )


def _jwks_keys(document: object) -> Any:
    keys = document.get("keys") if isinstance(document, dict) else None
    for each in keys if isinstance(keys, list) else ():
        if not isinstance(each, dict) or not _is_for_signatures(each) or not isinstance(each.get("kid"), str):
            continue
        try:
            found = jwt.PyJWK(each)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # of a kind that only others know
        if not isinstance(found.key, rsa.RSAPublicKey) or found.key.key_size >= _RSA_BITS:
            yield each["kid"], (found.key, found.algorithm_name)


def _is_for_signatures(jwk: dict[str, Any]) -> bool:
    """Whether a public key's `use` and `key_ops` (RFC 7517, section 4) allow to check signatures with it."""
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") != "oct"
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
