"""Verifying a secret: every code, what the key must hold, and what happens when nobody can decide."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from keyledger import (
    APIKey,
    ExpiredAPIKey,
    InsufficientScope,
    InvalidAPIKey,
    InvalidArgument,
    KeyLedger,
    KeyLedgerError,
    LedgerUnavailable,
    MalformedAPIKey,
    RevokedAPIKey,
    Settings,
    UnknownAPIKey,
    Verification,
)
from keyledger.domain import secret as secrets
from keyledger.domain.ids import new_uuid

UNKNOWN = Verification.of("not_found")
IMPATIENT = Settings(database_timeout_seconds=1.5)
REFUSALS = {
    "malformed": MalformedAPIKey,
    "not_found": UnknownAPIKey,
    "revoked": RevokedAPIKey,
    "expired": ExpiredAPIKey,
    "insufficient_scope": InsufficientScope,
}


def with_code(ledger: KeyLedger, create: Callable[..., APIKey], code: str) -> str:
    """A secret that verifies to the code when `admin` is asked for."""
    if code == "malformed":
        return "ak_garbage"
    if code == "not_found":
        return secrets.generate(new_uuid())
    key = create(scopes=["reader"] if code == "insufficient_scope" else ["admin", "reader"])
    if code == "expired":
        ledger.api_keys.update(key.id, seconds_until_expiration=1e-6)
    if code == "revoked":
        ledger.api_keys.revoke(key.id)
    assert key.secret is not None
    return key.secret


def test_a_valid_secret_is_accepted_with_its_key(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(claims={"plan": "pro"})

    found = ledger.verify(key.secret)

    assert found == Verification.of("valid", key.reload())
    assert ledger.authenticate(key.secret) == key.reload()


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_has_its_code_and_its_error(
    ledger: KeyLedger, create: Callable[..., APIKey], code: str
) -> None:
    secret = with_code(ledger, create, code)

    found = ledger.verify(secret, scopes=["admin"])
    with pytest.raises(InvalidAPIKey) as refused:
        ledger.authenticate(secret, scopes=["admin"])

    assert (found.valid, found.code) == (False, code)
    assert type(refused.value) is REFUSALS[code]
    assert refused.value.code == code
    assert secret not in repr(refused.value)


@pytest.mark.parametrize("code", REFUSALS)
def test_only_the_right_secret_learns_whose_it_is(
    ledger: KeyLedger, create: Callable[..., APIKey], code: str
) -> None:
    found = ledger.verify(with_code(ledger, create, code), scopes=["admin"])
    assert (found.api_key is None) == (code in ("malformed", "not_found"))


def test_a_revoked_key_that_expires_stays_revoked(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(seconds_until_expiration=1e-6)
    assert ledger.verify(key.secret).code == "expired"
    ledger.api_keys.revoke(key.id)
    assert ledger.verify(key.secret).code == "revoked"


def test_an_expiration_that_is_not_yet_over_refuses_nothing(
    ledger: KeyLedger, create: Callable[..., APIKey], eventually: Callable[..., Any]
) -> None:
    key = create(seconds_until_expiration=3600)
    assert ledger.verify(key.secret).valid

    ledger.api_keys.update(key.id, seconds_until_expiration=0.2)

    eventually(lambda: ledger.verify(key.secret).code == "expired")
    assert key.reload().expired


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([], "valid"),
        (None, "valid"),
        (["a"], "valid"),
        (("b", "a"), "valid"),
        ({"a"}, "valid"),
        (["c"], "insufficient_scope"),
        (["a", "c"], "insufficient_scope"),
        (["A"], "insufficient_scope"),
        (["a "], "insufficient_scope"),
        (["a,b"], "insufficient_scope"),
        (["*"], "insufficient_scope"),
    ],
    ids=repr,
)
def test_every_scope_that_is_asked_for_must_be_the_keys(
    ledger: KeyLedger, create: Callable[..., APIKey], asked: Any, code: str
) -> None:
    assert ledger.verify(create(scopes=["a", "b"]).secret, scopes=asked).code == code


@pytest.mark.parametrize("scopes", ["admin", b"admin", 5, [None], [""], ["a", "a"], ["a\0"]], ids=repr)
@pytest.mark.parametrize("secret", ["garbage", "right"])
def test_scopes_that_are_none_are_the_callers_mistake(
    ledger: KeyLedger, create: Callable[..., APIKey], secret: str, scopes: Any
) -> None:
    with pytest.raises(InvalidArgument, match=r"distinct|1 to 255|U\+0000") as refused:
        ledger.verify(create().secret if secret == "right" else secret, scopes=scopes)
    assert refused.value.param == "scopes"


def test_a_well_formed_secret_of_no_key_is_not_found(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    create()
    assert ledger.verify(secrets.generate(new_uuid())) == UNKNOWN


def test_the_right_id_with_other_random_bits_is_not_found(
    ledger: KeyLedger, create: Callable[..., APIKey]
) -> None:
    key = create(scopes=["a"])
    forged = secrets.generate(UUID(key.id[3:]))
    assert ledger.verify(forged) == UNKNOWN
    assert ledger.verify(forged, scopes=["b"]) == UNKNOWN


def test_the_random_bits_of_one_key_open_no_other(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    one, other = create().secret, create().secret
    assert one is not None
    assert other is not None
    body = one[:25] + other[25:68]
    assert ledger.verify(body + secrets.checksum(body)) == UNKNOWN


def test_a_ledger_that_cannot_decide_raises_and_accepts_nothing(
    create: Callable[..., APIKey], open_ledger: Callable[..., KeyLedger], locked_keys: Callable[..., Any]
) -> None:
    key, ledger = create(), open_ledger(IMPATIENT)

    with locked_keys():
        with pytest.raises(LedgerUnavailable, match=r"1\.5 s"):
            ledger.verify(key.secret)
        with pytest.raises(KeyLedgerError):
            ledger.authenticate(key.secret)

    assert ledger.verify(key.secret).valid
