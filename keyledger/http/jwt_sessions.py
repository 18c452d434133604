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
        self._read_at: tuple[int, int] | None = None
        self._keys: Mapping[str | None, tuple[Any, str]] = {}
        if public_key is not None:
            self._keys = {None: _pem_key(public_key)}
        elif not self._refreshed():
            raise InvalidArgument("jwks_file", "a readable file with a JWK set that has a public key with an id")

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
        party = claims.get("azp")
        if self._parties and party is not None and party not in self._parties:
            return None
        organization = claims.get("org_id")
        if organization is None and isinstance(claims.get("o"), dict):
            organization = claims["o"].get("id")
        return Actor(user_id=claims["sub"], organization_id=organization)

    def _key(self, kid: object) -> tuple[Any, str] | None:
        if self._file is None:
            return self._keys[None]
        if not isinstance(kid, str):
            return None
        if kid not in self._keys:
            self._refreshed()
        return self._keys.get(kid)

    def _refreshed(self) -> bool:
        """Whether the file had changed, and could be read."""
        assert self._file is not None
        try:
            found = self._file.stat()
            if (found.st_mtime_ns, found.st_size) == self._read_at:
                return False
            self._keys = dict(_jwks_keys(json.loads(self._file.read_bytes())))
        except (OSError, ValueError):
            return False  # the keys of before stay
        self._read_at = found.st_mtime_ns, found.st_size
        return bool(self._keys)


def _pem_key(pem: str | bytes) -> tuple[Any, str]:
    try:
        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, rsa.RSAPublicKey):
        return key, "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key, _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key, "EdDSA"
    raise InvalidArgument("public_key", "a public key in PEM: RSA, P-256, P-384, P-521 or Ed25519")


def _jwks_keys(document: object) -> Any:
    keys = document.get("keys") if isinstance(document, dict) else None
    for each in keys if isinstance(keys, list) else ():
        if not isinstance(each, dict) or each.get("kty") == "oct" or not isinstance(each.get("kid"), str):
            continue
        try:
            found = jwt.PyJWK(each)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # of a kind that only others know
        yield each["kid"], (found.key, found.algorithm_name)
