"""A rebuild puts tables made of the events in the place of the live ones, and nobody notices."""

from collections.abc import Callable

import psycopg
import pytest

from keyledger import KeyLedger, Use


def test_every_read_model_that_is_rebuilt_is_as_it_was(new_database: Callable[[], str]) -> None:
    dsn = new_database()
    with KeyLedger.open(dsn) as ledger:
        keys = [ledger.api_keys.create(name=f"Key {n}", subject="org_1", scopes=["a", "b"], claims={"n": n}) for n in range(5)]
        for key in keys:
            ledger.verify(str(key.secret), use=Use(ip_address="192.0.2.1"))
        ledger.api_keys.update(keys[0].id, description="x")
        ledger.api_keys.revoke(keys[1].id)
        ledger._recorder.flush()
        ledger.catch_up()
        report = ledger.replay.rebuild()
        print(report)
        assert [each.equal for each in report.projections] == [True] * 3
        print(ledger.replay.verify_projections())
        assert ledger.replay.verify_projections().ok
        report = ledger.replay.rebuild()
        assert [each.equal for each in report.projections] == [True] * 3
        ledger.api_keys.create(name="After", subject="org_1")
        print(ledger.status())
