"""PostgreSQL is there and refuses to store uses."""

import logging
import time
from collections.abc import Callable

import psycopg
import pytest
from support.invariants import accepted_uses, assert_consistent, count_uses, lost_uses
from support.waiting import eventually

from keyledger import KeyLedger, LedgerUnavailable, Settings, Use
from keyledger.domain.ids import halves, parse_key_id
from keyledger.infrastructure.uses import use_recorder
from keyledger.infrastructure.uses.pending import waiting

# What only a damaged database or a foreign trigger does: refuse KeyUsed events.
REFUSALS = {
    "a check": "ALTER TABLE keyledger.events ADD CONSTRAINT poison CHECK (topic <> 'KeyUsed') NOT VALID",
    "no table": "ALTER TABLE keyledger.flushes RENAME TO elsewhere",
    "no space": """
        CREATE FUNCTION keyledger.poison() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER poison BEFORE INSERT ON keyledger.flushes EXECUTE FUNCTION keyledger.poison()
    """,
}
CURES = {
    "a check": "ALTER TABLE keyledger.events DROP CONSTRAINT poison",
    "no table": "ALTER TABLE keyledger.elsewhere RENAME TO flushes",
    "no space": "DROP FUNCTION keyledger.poison CASCADE",
}
SETTINGS = Settings(flush_interval_seconds=0.05, database_timeout_seconds=1.0, buffer_limit_uses=20)


def execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_uses_are_kept_and_spoken_of_until_they_are_stored(
    refusal: str, new_database: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    dsn = new_database()
    with KeyLedger.open(dsn, settings=SETTINGS) as ledger, caplog.at_level(logging.WARNING, "keyledger"):
        key = ledger.api_keys.create(name="one", subject="org_1")
        execute(dsn, REFUSALS[refusal])
        for number in range(5):
            assert ledger.verify(str(key.secret), use=Use(request_id=f"use {number}")).valid
        eventually(lambda: "5 uses wait to be stored" in caplog.text)
        with pytest.raises(LedgerUnavailable, match="5 recorded uses are not stored"):
            ledger.close()
        assert ledger._recorder.depth == 5
        execute(dsn, CURES[refusal])

    assert accepted_uses(dsn) == {f"use {number}": 1 for number in range(5)}
    assert str(key.secret) not in caplog.text
    assert_consistent(dsn)


def test_a_full_buffer_sheds_uses_and_puts_on_record_how_many_of_which_key(
    new_database: Callable[[], str],
) -> None:
    dsn = new_database()
    with KeyLedger.open(dsn, settings=SETTINGS) as ledger:
        busy, other = (ledger.api_keys.create(name=name, subject="org_1") for name in ("busy", "other"))
        execute(dsn, REFUSALS["a check"])
        kept = [f"use {number}" for number in range(SETTINGS.buffer_limit_uses)]
        for number, request_id in enumerate(kept):
            assert ledger.verify(str(busy.secret), use=Use(request_id=request_id)).valid
            if number == 7:  # part of them waits in flushes that were refused, the rest in the buffer
                eventually(lambda: ledger._recorder._memory._unstored_uses > 0)
        for key in (busy, other, busy):
            assert ledger.verify(str(key.secret), use=Use(request_id="shed")).valid
        assert ledger.status().uses_waiting == SETTINGS.buffer_limit_uses
        assert ledger.status().figures["uses.shed"] == 3
        execute(dsn, CURES["a check"])
        eventually(lambda: ledger.status().uses_waiting == 0)
        assert ledger.verify(str(busy.secret), use=Use(request_id="after")).valid

    assert accepted_uses(dsn) == dict.fromkeys([*kept, "after"], 1)
    assert lost_uses(dsn) == {(busy.id, "full"): 2, (other.id, "full"): 1}
    assert_consistent(dsn)


def test_a_use_that_cannot_even_be_counted_is_not_accepted(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_recorder, "SHED_KEYS", 1)
    dsn = new_database()
    with KeyLedger.open(dsn, settings=SETTINGS) as ledger:
        busy, other = (ledger.api_keys.create(name=name, subject="org_1") for name in ("busy", "other"))
        execute(dsn, REFUSALS["a check"])
        assert ledger.verify(str(busy.secret)).valid
        eventually(lambda: ledger._recorder._memory._unstored)  # while it cannot be stored, counts stay as well
        for _ in range(SETTINGS.buffer_limit_uses):
            assert ledger.verify(str(busy.secret)).valid

        with pytest.raises(LedgerUnavailable, match="faster"):
            ledger.verify(str(other.secret))

        execute(dsn, CURES["a check"])
    assert lost_uses(dsn) == {(busy.id, "full"): 1}


def test_what_an_outage_piled_up_is_stored_in_several_transactions(ledger: KeyLedger, dsn: str) -> None:
    ids = [parse_key_id(ledger.api_keys.create(name=f"key {n}", subject="org_1").id) for n in range(12)]
    for number in range(60_000):  # past record(), whose thread would store them as they come
        use = waiting(*halves(ids[number % 12]), time.time_ns(), "valid", Use())
        ledger._recorder._memory._pending.append(use)
    ledger._recorder.flush()

    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT max(progress) >= 3 FROM keyledger.flushes").fetchone() == (True,)
    assert count_uses(dsn) == 60_000
