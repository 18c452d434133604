"""A key with very many uses, and how much of the tables is read."""

from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from support.streams import created

from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database

_EVENTS = """
COPY keyledger.events (
    originator_id, originator_version, topic, state, recorded_at, subject, last_used_at, lateness
) FROM STDIN
"""
_OUTBOX = "COPY keyledger.outbox (originator_id, originator_version, topic) FROM STDIN"
_READ = """
SELECT
    (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = 'keyledger')
    + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = 'keyledger')
"""


def fill(dsn: str, start: datetime, *, uses: int, others: int = 0) -> UUID:
    """A key created at the start and used each second from then on, and keys that are never used."""
    codec, key_id, none = EventCodec(), new_uuid(), timedelta(0)
    rows = [(new_uuid(), 1, _created(codec, start), start, "org_2", None, None) for _ in range(others)]
    rows.append((key_id, 1, _created(codec, start), start, "org_1", None, None))
    for number in range(1, uses + 1):
        moment = start + timedelta(seconds=number)
        use = RecordedUse(occurred_at=moment, outcome="valid", use=Use(path="/"))
        state = ("KeyUsed", codec.encode(KeyUsed.of([use], id=new_uuid())))
        rows.append((key_id, number + 1, state, moment, None, moment, none))
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        with cursor.copy(_EVENTS) as copy:
            for id_, version, (topic, state_bytes), *rest in rows:
                copy.write_row((id_, version, topic, state_bytes, *rest))
        with cursor.copy(_OUTBOX) as copy:
            for id_, version, (topic, _), *_ in rows:
                copy.write_row((id_, version, topic))
    return key_id


def analyze(dsn: str) -> None:
    """Have the planner know what there is, and nothing lie about that is there no more."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in ("events", "outbox", "positions"):
            connection.execute(f"VACUUM ANALYZE keyledger.{table}".encode())


class Reads:
    """Counts the rows and the index entries that a Database's connections read, from now on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._before = self._count()

    def count(self) -> int:
        """How many there were since the last time."""
        before, self._before = self._before, self._count()
        return self._before - before

    def _count(self) -> int:
        self._database.run(lambda connection: connection.execute("SELECT pg_stat_force_next_flush()"))
        row = self._database.run(lambda connection: connection.execute(_READ).fetchone())
        assert row is not None
        return int(row[0])


def _created(codec: EventCodec, start: datetime) -> tuple[str, bytes]:
    return "KeyCreated", codec.encode(created(id=new_uuid(), occurred_at=start, expiration=None))
