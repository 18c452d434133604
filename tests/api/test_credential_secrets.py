"""A service credential's secret, `sk_…`, is good for the HTTP service alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from keyledger import APIKey, KeyLedger, Settings, Verification
from keyledger.credentials import create as create_credential
from keyledger.domain.secret import as_credential, of_credential


@pytest.fixture(params=[100, 0], ids=["from memory", "from PostgreSQL"])
def ledger(open_ledger: Callable[..., KeyLedger], request: pytest.FixtureRequest) -> KeyLedger:
    return open_ledger(Settings(flush_interval_seconds=0.02, cache_entries=request.param))


@pytest.fixture
def secret(ledger: KeyLedger) -> str:
    """A credential's."""
    return create_credential(ledger.api_keys, name="billing", scopes=["keys:read"])[1]


def verified(ledger: KeyLedger, secret: str, **extra: Any) -> Verification:
    """As the HTTP service does it."""
    return asyncio.run(ledger.aio.verify_credential(secret, **extra))


def test_it_is_verified_in_its_own_form_with_its_scopes(ledger: KeyLedger, secret: str) -> None:
    for _ in range(3):
        assert verified(ledger, secret, scopes=["keys:read"]).valid
        assert verified(ledger, secret, scopes=["keys:write"]).code == "insufficient_scope"


def test_it_is_no_keys_secret_in_neither_form(ledger: KeyLedger, secret: str) -> None:
    for _ in range(3):
        assert ledger.verify(of_credential(secret)).code == "not_found"
        assert ledger.verify(secret).code == "malformed"
        assert verified(ledger, secret).valid


def test_a_keys_secret_is_no_credentials_in_neither_form(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    secret = str(create(scopes=["*"]).secret)
    for _ in range(3):
        assert verified(ledger, as_credential(secret)).code == "not_found"
        assert verified(ledger, secret).code == "malformed"
        assert ledger.verify(secret).valid


def test_a_revoked_one_is_refused(ledger: KeyLedger) -> None:
    made, secret = create_credential(ledger.api_keys, name="billing", scopes=["keys:read"])
    assert verified(ledger, secret).valid
    ledger.api_keys.revoke(made.id)
    assert verified(ledger, secret).code == "revoked"


def test_it_is_good_also_after_the_lease_was_over(ledger: KeyLedger, secret: str) -> None:
    assert verified(ledger, secret).valid
    ledger._memory.lease.end()
    assert verified(ledger, secret).valid
