"""A ledger for all the tests of a module, and a key of each kind."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from keyledger import KeyLedger, Settings


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets."""

    good: str
    wide: str
    narrow: str
    revoked: str
    expired: str
    unknown: str


@pytest.fixture(scope="module")
def shared(new_database: Callable[[], str]) -> Iterator[KeyLedger]:
    """A ledger that the tests of a module share."""
    with KeyLedger.open(new_database(), settings=Settings(flush_interval_seconds=0.05)) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def keys(shared: KeyLedger, new_database: Callable[[], str]) -> Keys:
    """Keys of the shared ledger that are accepted or refused, each for a reason of its own."""
    revoked = shared.api_keys.create(name="revoked", subject="org_1", scopes=["things:read"])
    expired = shared.api_keys.create(name="expired", subject="org_1", seconds_until_expiration=0.001)
    assert expired.expiration is not None
    while datetime.now(UTC) < expired.expiration:
        pass
    shared.api_keys.revoke(revoked.id)
    with KeyLedger.open(new_database()) as other:
        unknown = other.api_keys.create(name="of another ledger", subject="org_1")
    return Keys(
        good=secret(shared, "things:read"),
        wide=secret(shared, "things:*"),
        narrow=secret(shared, "other"),
        revoked=str(revoked.secret),
        expired=str(expired.secret),
        unknown=str(unknown.secret),
    )


def secret(ledger: KeyLedger, *scopes: str) -> str:
    """The secret of a new key."""
    return str(ledger.api_keys.create(name="a key", subject="org_1", scopes=scopes).secret)
