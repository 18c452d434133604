"""A Verification as a value: what it says, how it is compared, shown and pickled."""

import pickle
from collections.abc import Callable

import pytest

from keyledger import APIKey, KeyLedger, LedgerClosed, Verification


@pytest.fixture
def key(create: Callable[..., APIKey]) -> APIKey:
    return create(claims={"plan": "pro"})


@pytest.fixture
def found(ledger: KeyLedger, key: APIKey) -> Verification:
    """One from memory, whose key is not unpacked yet."""
    assert ledger.verify(key.secret).valid
    return ledger.verify(key.secret)


def test_it_is_equal_to_one_that_says_the_same(found: Verification, key: APIKey) -> None:
    assert found == Verification.of("valid", key.reload())
    assert hash(found) == hash(Verification.of("valid", key.reload()))
    assert found != Verification.of("expired", key.reload())
    assert found != Verification.of("valid")
    assert found != "valid"


def test_it_shows_its_key_and_no_secret(found: Verification, key: APIKey) -> None:
    assert repr(found).startswith(f"Verification(valid=True, code='valid', api_key=APIKey(id='{key.id}'")
    assert str(key.secret) not in repr(found)


def test_its_key_is_unpacked_once(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(claims=None)
    assert ledger.verify(key.secret).valid
    found = ledger.verify(key.secret)
    assert found.api_key is found.api_key


def test_it_is_unpickled_as_the_same_with_a_key_that_belongs_to_no_ledger(found: Verification) -> None:
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    with pytest.raises(LedgerClosed):
        again.api_key.reload()


def test_it_cannot_be_changed(found: Verification) -> None:
    with pytest.raises(AttributeError):
        found.valid = False  # type: ignore[misc]
