"""A DSN that leads to a standby: it may not have heard of a revocation, so nothing is decided by its word."""

import pytest
from faults.private_server import PrivateServer

from keyledger import KeyLedger, LedgerUnavailable, Settings


@pytest.mark.parametrize("cache_entries", [0, 100])
def test_nobody_is_let_in_by_what_a_standby_says(private_server: PrivateServer, cache_entries: int) -> None:
    dsn = private_server.new_dsn()
    settings = Settings(cache_entries=cache_entries, background_worker=False, database_timeout_seconds=1.0)
    with KeyLedger.open(dsn, settings=settings) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        assert ledger.verify(str(key.secret)).valid

    with private_server.as_standby(), KeyLedger.open(dsn, settings=settings) as ledger:
        assert ledger.api_keys.get(key.id).name == "one"
        for ask in (ledger.verify, ledger.identify):
            with pytest.raises(LedgerUnavailable):
                ask(str(key.secret))
