"""Which keys session tokens are checked with."""

import hashlib
import hmac
import json
import os
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyledger import Actor, InvalidArgument
from keyledger.http import JWTSessions

RSA = rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = None, **claims: Any) -> str:
    made = {"sub": "user_1", "exp": int(time.time()) + 60, **claims}
    return jwt.encode(made, key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})


def jwk(kid: str, key: rsa.RSAPrivateKey = RSA) -> dict[str, Any]:
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "alg": "RS256"}


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA, "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
def test_a_public_key_in_pem_of_each_kind(key: Any, algorithm: str) -> None:
    sessions = JWTSessions(public_key=pem(key))
    assert sessions(token(key, algorithm, org_id="org_1")) == Actor(user_id="user_1", organization_id="org_1")
    assert JWTSessions(public_key=pem(rsa.generate_private_key(65537, 2048)))(token(key, algorithm)) is None


def test_no_token_is_signed_with_the_public_key_as_a_password_or_not_at_all() -> None:
    sessions = JWTSessions(public_key=pem(RSA))
    header, claims, _ = token().split(".")
    unsigned = jwt.encode({"sub": "user_1", "exp": int(time.time()) + 60}, None, algorithm="none")
    for each in (unsigned, f"{header}.{claims}.", "x" * 100_000, ""):
        assert sessions(each) is None
    start = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode() + "." + claims
    mac = urlsafe_b64encode(hmac.digest(pem(RSA), start.encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert sessions(f"{start}.{mac}") is None


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk("one")]}))
    sessions = JWTSessions(jwks_file=path)
    other = rsa.generate_private_key(65537, 2048)
    assert sessions(token(kid="one"))
    assert sessions(token(other, kid="two")) is None
    path.write_text("{ half a file")
    assert sessions(token(other, kid="two")) is None
    assert sessions(token(kid="one"))
    path.write_text(json.dumps({"keys": [jwk("one"), jwk("two", other)], "more": "of it"}))
    assert sessions(token(other, kid="two"))
    assert sessions(token(kid="one"))
    assert sessions(token()) is None  # which key, nobody knows


@pytest.mark.parametrize("instead", [{}, {"one": rsa.generate_private_key(65537, 2048)}], ids=["gone", "another"])
def test_a_key_that_was_taken_out_of_the_file_is_trusted_no_more(
    tmp_path: Path, instead: dict[str, rsa.RSAPrivateKey]
) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk("one"), jwk("two")]}))
    sessions = JWTSessions(jwks_file=path)
    assert sessions(token(kid="one"))
    path.write_text(json.dumps({"keys": [*(jwk(kid, key) for kid, key in instead.items()), jwk("two")]}))
    assert sessions(token(kid="one")) is None
    assert sessions(token(kid="two"))


def test_a_file_that_takes_another_s_place_at_the_same_size_and_time_is_read(tmp_path: Path) -> None:
    path, other = tmp_path / "jwks.json", tmp_path / "other.json"
    path.write_text(json.dumps({"keys": [jwk("one")]}))
    other.write_text(json.dumps({"keys": [jwk("two")]}))
    os.utime(path, (1, 1))
    os.utime(other, (1, 1))
    sessions = JWTSessions(jwks_file=path)
    assert sessions(token(kid="one"))
    other.replace(path)
    assert sessions(token(kid="one")) is None


@pytest.mark.parametrize(
    "about",
    [{"use": "enc"}, {"key_ops": ["encrypt", "wrapKey"]}, {"key_ops": "verify"}],
    ids=["its use", "its operations", "operations that are no list"],
)
def test_a_key_that_is_not_for_signatures_is_none(tmp_path: Path, about: dict[str, Any]) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(
        json.dumps({"keys": [{**jwk("one"), "use": "sig", "key_ops": ["verify"]}, jwk("two") | about]})
    )
    sessions = JWTSessions(jwks_file=path)
    assert sessions(token(kid="one"))
    assert sessions(token(kid="two")) is None


@pytest.mark.filterwarnings("ignore:The RSA key")
def test_an_rsa_key_of_fewer_than_2048_bits_is_none(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    with pytest.raises(InvalidArgument):
        JWTSessions(public_key=pem(weak))
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk("one"), jwk("weak", weak)]}))
    assert JWTSessions(jwks_file=path)(token(weak, kid="weak")) is None


def test_a_session_that_is_pending_is_nobody_s() -> None:
    sessions = JWTSessions(public_key=pem(RSA))
    assert sessions(token(sts="active"))
    assert sessions(token(sts="pending")) is None


@pytest.mark.parametrize("party", [["https://app.test"], {"https://app.test": 1}, 7, ""])
def test_a_party_that_is_no_text_is_not_allowed(party: object) -> None:
    assert JWTSessions(public_key=pem(RSA), authorized_parties=["https://app.test"])(token(azp=party)) is None


def test_parties_and_audience_are_held_against_what_is_allowed() -> None:
    strict = JWTSessions(public_key=pem(RSA), authorized_parties=["https://app.test"], audience="keys")
    assert strict(token(azp="https://app.test", aud="keys"))
    for wrong in ({"azp": "https://evil.test", "aud": "keys"}, {"azp": "https://app.test"}, {"aud": "other"}):
        assert strict(token(**wrong)) is None


@pytest.mark.parametrize("claims", [{"sub": ""}, {"sub": "a\0b"}, {"sub": "x" * 300}, {"org_id": 7}])
def test_claims_that_no_id_can_be_are_nobody(claims: dict[str, Any]) -> None:
    sessions, made = JWTSessions(public_key=pem(RSA)), {"sub": "user_1", "exp": int(time.time()) + 60, **claims}
    assert sessions(jwt.encode(made, RSA, algorithm="RS256")) is None


@pytest.mark.parametrize(
    "wrong", [{}, {"public_key": "no key"}, {"jwks_file": "/nowhere"}, {"jwks_file": "/x", "public_key": "y"}]
)
def test_keys_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        JWTSessions(**wrong)
