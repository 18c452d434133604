"""The live rows and those that are made anew of the same events are the same, byte for byte."""

import os
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st
from support.lives import live
from support.streams import T0, created, revoked, updated

from keyledger import KeyLedger
from keyledger.domain.events import Event, KeyCreated, KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.rebuilding import rebuild, verification

KEYS = [UUID(int=number) for number in range(1, 5)]
USES = st.lists(
    st.builds(
        lambda seconds, address, outcome: RecordedUse(
            occurred_at=T0 + timedelta(seconds=seconds), outcome=outcome, use=Use(ip_address=address)
        ),
        st.integers(-200_000, 200_000),
        st.sampled_from([None, "192.0.2.1", "2001:db8::1"]),
        st.sampled_from(["valid", "valid", "expired", "revoked"]),
    ),
    min_size=1,
    max_size=4,
)
EVENTS = st.one_of(
    st.builds(lambda uses, more: KeyUsed.of(uses, id=new_uuid(), refused_unlisted=more), USES, st.integers(0, 2)),
    st.builds(updated, st.integers(0, 100), description=st.sampled_from([None, "a", "ä"])),
    st.builds(updated, st.integers(0, 100), subject=st.sampled_from(["org_1", "org_2"])),
    st.builds(updated, st.integers(0, 100), scopes=st.sampled_from([(), ("a",), ('"', "\\", "{}", "NULL")])),
)
HISTORIES = st.lists(st.tuples(st.sampled_from(KEYS), EVENTS), min_size=1, max_size=25)


def append(connection: psycopg.Connection, places: list[tuple[UUID, Event]]) -> None:
    """Append the events, each stream with its KeyCreated first, and a KeyRevoked last where its number is even."""
    heads = dict.fromkeys(KEYS, 0)
    streams = {key_id for key_id, _ in places}
    births = [(key_id, created(name=f"Ünï {key_id.int}")) for key_id in KEYS if key_id in streams]
    ends = [(key_id, revoked("done")) for key_id in KEYS if key_id in streams and key_id.int % 2 == 0]
    codec = EventCodec()
    for key_id, event in [*births, *places, *ends]:
        heads[key_id] += 1
        connection.execute(
            "INSERT INTO keyledger.events (originator_id, originator_version, topic, state, subject)"
            " VALUES (%s, %s, %s, %s, %s)",
            (
                key_id,
                heads[key_id],
                event.topic,
                codec.encode(event),
                event.subject if isinstance(event, KeyCreated) else None,
            ),
        )
        connection.execute(
            "INSERT INTO keyledger.outbox (originator_id, originator_version, topic) VALUES (%s, %s, %s)",
            (key_id, heads[key_id], event.topic),
        )


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@forall(HISTORIES, st.lists(st.integers(1, 9), min_size=1, max_size=4), st.data())
def test_at_any_position_and_however_they_were_cut_into_batches(
    dsn: str, places: list[tuple[UUID, Event]], batches: list[int], data: st.DataObject
) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection, closing(Database(dsn)) as database:
        empty(connection)
        append(connection, places)
        count = connection.execute("SELECT count(*) FROM keyledger.outbox").fetchone()
        position = data.draw(st.integers(0, count[0] if count else 0))
        sequencer = Sequencer(database)
        sequencer.claim()
        runner = Runner(database, EventCodec(), READ_MODELS)
        while sequencer.head < position:
            sequencer.step(min(batches[sequencer.head % len(batches)], position - sequencer.head))
            for model in READ_MODELS:
                runner.catch_up(sequencer.head, model.name)
        sequencer.release()

        derived = [verification._verified(database, EventCodec(), model, None) for model in READ_MODELS]
        assert [(each.position, each.differing) for each in derived] == [(position, 0)] * len(READ_MODELS)
        report = rebuild.rebuild(database, EventCodec(), READ_MODELS)
        assert all(each.equal and each.compared_at == position for each in report.projections)


def empty(connection: psycopg.Connection) -> None:
    """Forget everything, also what the last example left."""
    tables = ["events", "outbox", "positions", *(table for model in READ_MODELS for table in model.tables)]
    connection.execute("SET session_replication_role = replica")
    for table in tables:
        connection.execute(f"DELETE FROM keyledger.{table}".encode())
    connection.execute("UPDATE keyledger.sequencer SET position = 0, holder = NULL, held_until = NULL")
    connection.execute("UPDATE keyledger.projections SET position = 0, state = NULL")


DIGESTS = """
import sys
from keyledger import KeyLedger, Settings
with KeyLedger.open(sys.argv[1], settings=Settings(background_worker=False)) as ledger:
    report = ledger.replay.rebuild()
    assert all(each.equal for each in report.projections), report
    print([each.new_digest for each in report.projections], hash("seed"))
"""


def test_in_interpreters_with_different_hash_seeds(ledger: KeyLedger, dsn: str) -> None:
    live(ledger, 12)
    ledger.catch_up()

    found = [
        subprocess.run(
            [sys.executable, "-c", DIGESTS, dsn],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    digests, hashes = zip(*(line.rsplit(" ", 1) for line in found), strict=True)
    assert len(set(digests)) == 1
    assert len(set(hashes)) == 2
