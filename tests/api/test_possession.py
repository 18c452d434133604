"""Asking whose key a secret is without using it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from keyledger import APIKey, InvalidArgument, KeyLedger, LedgerClosed, Use, credentials
from keyledger.domain.ids import new_uuid, parse_key_id
from keyledger.domain.secret import generate
from keyledger.domain.use import RecordedUse

Uses = Callable[[APIKey], list[RecordedUse]]


def attempts(ledger: KeyLedger, uses: Uses, key: APIKey) -> list[tuple[str, str | None]]:
    ledger._recorder.flush()
    return [(used.outcome, used.use.request_id) for used in uses(key)]


@pytest.mark.parametrize("scopes", [[], ["repo:read"], ["*"]])
@pytest.mark.parametrize("way", ["blocking", "asyncio"])
def test_the_key_of_a_secret_is_found_and_not_used(
    ledger: KeyLedger, create: Callable[..., APIKey], uses: Uses, scopes: list[str], way: str
) -> None:
    key, use = create(scopes=scopes), Use(request_id="r1")

    found = asyncio.run(ledger.aio.identify(key.secret, use=use)) if way == "asyncio" else None
    found = found or ledger.identify(str(key.secret), use=use)

    assert (found.valid, found.code, found.api_key) == (False, "insufficient_scope", key.reload())
    assert attempts(ledger, uses, key) == [("insufficient_scope", "r1")]
    assert key.reload().last_used_at is None


@pytest.mark.parametrize("code", ["revoked", "expired"])
def test_one_that_is_refused_is_found_too(
    ledger: KeyLedger, create: Callable[..., APIKey], uses: Uses, code: str
) -> None:
    key = create(seconds_until_expiration=1e-6 if code == "expired" else None)
    if code == "revoked":
        ledger.api_keys.revoke(key.id)

    found = ledger.identify(str(key.secret))

    assert (found.code, found.api_key) == (code, key.reload())
    assert attempts(ledger, uses, key) == [(code, None)]


def test_a_credential_is_found_by_either_form_of_its_secret(ledger: KeyLedger) -> None:
    key, secret = credentials.create(ledger.api_keys, name="Billing", scopes=["keys:read"])

    for form in (secret, "ak_" + secret.removeprefix("sk_")):
        found = ledger.identify(form).api_key
        assert found is not None
        assert found.id == key.id


def test_a_wrong_secret_is_nobody_s_and_on_record_where_there_is_a_key(
    ledger: KeyLedger, create: Callable[..., APIKey], uses: Uses
) -> None:
    key = create()

    for wrong in (generate(parse_key_id(key.id)), generate(new_uuid())):
        assert (ledger.identify(wrong).code, ledger.identify(wrong).api_key) == ("not_found", None)
    for garbage in ("", "ak_x", "sk_x", key.id, None, 7, b"ak_"):
        assert ledger.identify(garbage).code == "malformed"  # type: ignore[arg-type]

    assert attempts(ledger, uses, key) == [("not_found", None)] * 2


def test_what_is_no_use_is_refused(ledger: KeyLedger) -> None:
    no_use: Any = {"request_id": "r1"}
    with pytest.raises(InvalidArgument, match="use: a Use or None"):
        ledger.identify("ak_x", use=no_use)


def test_a_closed_ledger_says_so(open_ledger: Callable[..., KeyLedger]) -> None:
    ledger = open_ledger()
    secret = str(ledger.api_keys.create(name="a key", subject="user_1").secret)
    ledger.close()
    with pytest.raises(LedgerClosed):
        ledger.identify(secret)
