"""Flushes are remembered for as long as one may be sent again, and not for ever."""

from uuid import UUID, uuid4

import psycopg
from support.waiting import eventually

from keyledger import KeyLedger


def test_flushes_of_more_than_thirty_days_ago_are_forgotten_and_younger_ones_kept(
    ledger: KeyLedger, dsn: str
) -> None:
    old, young = uuid4(), uuid4()
    with psycopg.connect(dsn, autocommit=True) as connection:

        def remembered() -> set[UUID]:
            return {flush_id for (flush_id,) in connection.execute("SELECT flush_id FROM keyledger.flushes")}

        connection.execute(
            "INSERT INTO keyledger.flushes VALUES (%s, now() - interval '30 days 1 hour'),"
            " (%s, now() - interval '29 days 23 hours')",
            [old, young],
        )
        key = ledger.api_keys.create(name="one", subject="org_1")
        ledger.verify(str(key.secret))

        eventually(lambda: old not in remembered())

        assert young in remembered()
        assert len(remembered()) == 2, "the flush of now is remembered too"
