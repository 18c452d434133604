"""Stored events are insert-only, for everybody."""

import psycopg
import pytest
from support.invariants import topics

from keyledger import KeyLedger

CHANGES = {
    "update": "UPDATE keyledger.events SET topic = 'KeyRevoked'",
    "update of none": "UPDATE keyledger.events SET topic = 'KeyRevoked' WHERE false",
    "delete": "DELETE FROM keyledger.events",
    "delete of none": "DELETE FROM keyledger.events WHERE false",
    "truncate": "TRUNCATE keyledger.events",
    "truncate of all": "TRUNCATE keyledger.outbox, keyledger.events, keyledger.api_keys CASCADE",
    "upsert": """
        INSERT INTO keyledger.events SELECT * FROM keyledger.events
        ON CONFLICT (originator_id, originator_version) DO UPDATE SET topic = 'KeyRevoked'
    """,
    "merge": """
        MERGE INTO keyledger.events AS e USING keyledger.api_keys AS k ON e.originator_id = k.id
        WHEN MATCHED THEN DELETE
    """,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_stored_events_is_refused_to_a_superuser(change: str, ledger: KeyLedger, dsn: str) -> None:
    key = ledger.api_keys.create(name="kept", subject="org_1")
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (
            True,
        )
        with pytest.raises(psycopg.errors.RestrictViolation, match="insert-only"):
            connection.execute(change.encode())

    assert topics(dsn, key.id) == ["KeyCreated"]


def test_a_change_is_refused_to_a_role_with_every_right_on_the_table(ledger: KeyLedger, dsn: str) -> None:
    ledger.api_keys.create(name="kept", subject="org_1")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE ROLE rightful")
        connection.execute("GRANT USAGE ON SCHEMA keyledger TO rightful")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA keyledger TO rightful")
        connection.execute("SET ROLE rightful")
        with pytest.raises(psycopg.errors.RestrictViolation, match="insert-only"):
            connection.execute("DELETE FROM keyledger.events")
