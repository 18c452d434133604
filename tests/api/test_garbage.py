"""Garbage in a secret's place: malformed, whatever it is, and never a question to PostgreSQL."""

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyledger import APIKey, KeyLedger, LedgerUnavailable, Settings, Verification

MALFORMED = Verification.of("malformed")
IMPATIENT = Settings(database_timeout_seconds=1.5)


def swapped(secret: str) -> str:
    """The secret with its first two neighbours that differ in each other's place."""
    place = next(place for place in range(25, 73) if secret[place] != secret[place + 1])
    return secret[:place] + secret[place + 1] + secret[place] + secret[place + 2 :]


GARBAGE: dict[str, Any] = {
    "None": None,
    "a number": 5,
    "True": True,
    "a list": ["ak_"],
    "an object": {"secret": "ak_"},
    "empty": "",
    "the prefix": "ak_",
    "right length": "ak_" + "0" * 71,
    "1 MB": "a" * 1_000_000,
    "1 MB behind the prefix": "ak_" + "0" * 1_000_000,
    "1 MB of NUL": "\0" * 1_000_000,
    "surrogates": "\ud800" * 74,
    "emoji": "ak_" + "😀" * 71,
    "digits of another script": "ak_" + "\u0660" * 71,
    "an id": "ak_" + "0" * 32,
    "quoting": "ak_'; DROP TABLE keyledger.events; --",
}
SPOILT: dict[str, Callable[[str], Any]] = {
    "first half": lambda secret: secret[:37],
    "without its last character": lambda secret: secret[:-1],
    "without its first character": lambda secret: secret[1:],
    "without a middle character": lambda secret: secret[:40] + secret[41:],
    "with one more": lambda secret: secret + "0",
    "with a new line": lambda secret: secret + "\n",
    "with white space": lambda secret: f" {secret}",
    "with NUL": lambda secret: secret + "\0",
    "with a surrogate": lambda secret: secret[:-1] + "\udc00",
    "twice": lambda secret: secret * 2,
    "in bytes": str.encode,
    "in upper case": str.upper,
    "in lower case": str.lower,
    "backwards": lambda secret: secret[::-1],
    "as a header": lambda secret: f"Bearer {secret}",
    "with two characters swapped": swapped,
}


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in GARBAGE.items()])
def test_garbage_is_malformed(ledger: KeyLedger, value: Any) -> None:
    assert ledger.verify(value) == MALFORMED


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in SPOILT.items()])
def test_a_spoilt_secret_is_malformed(
    ledger: KeyLedger, create: Callable[..., APIKey], spoil: Callable[[str], Any]
) -> None:
    secret = create().secret
    assert secret is not None
    assert ledger.verify(spoil(secret)) == MALFORMED


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.from_regex("ak_[0-9A-Za-z]{71}", fullmatch=True) | st.binary())
def test_verify_never_raises_for_a_bad_secret(ledger: KeyLedger, text: str | bytes) -> None:
    assert ledger.verify(text) == MALFORMED  # type: ignore[arg-type]


def test_no_single_changed_character_asks_postgresql(
    create: Callable[..., APIKey],
    open_ledger: Callable[..., KeyLedger],
    locked_keys: Callable[..., Any],
) -> None:
    secret, ledger = create().secret, open_ledger(IMPATIENT)
    assert secret is not None
    others = [*string.printable, "\0", "é", "\ud800", ""]

    with locked_keys():  # whatever asks for a key now ends in LedgerUnavailable
        with pytest.raises(LedgerUnavailable):
            ledger.verify(secret)
        accepted = [
            (place, other)
            for place, right in enumerate(secret)
            for other in others
            if other != right and ledger.verify(secret[:place] + other + secret[place + 1 :]) != MALFORMED
        ]

    assert accepted == []


def test_no_garbage_asks_postgresql(
    dsn: str, open_ledger: Callable[..., KeyLedger], locked_keys: Callable[..., Any]
) -> None:
    ledger = open_ledger(IMPATIENT)
    with locked_keys():
        assert {ledger.verify(value).code for value in GARBAGE.values()} == {"malformed"}
