"""However many write, give up and are killed: each committed event has one position and is counted once."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread

import psycopg
import pytest
from support.appending import append_new
from support.invariants import assert_consistent
from support.program import Program
from support.sequencing import catch_up, positioned
from support.waiting import eventually

from keyledger import KeyLedger, Settings
from keyledger.domain.ids import parse_key_id
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following import positions

WRITERS = """
import random
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4
import psycopg
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.queries import QUERIES

codec, counts = EventCodec(), Counter()

def statement(ids):
    '''The parameters of a flush of one use for each of these keys.'''
    moments = [datetime.now(UTC) for _ in ids]
    events = [KeyUsed.of([RecordedUse(occurred_at=m, outcome="valid", use=Use())], id=new_uuid()) for m in moments]
    return {
        "source": uuid4(), "start": None, "until": 1, "topic": KeyUsed.topic, "ids": ids,
        "states": [codec.encode(e) for e in events],
        "first_used_ats": moments, "last_used_ats": moments,
    }

def write(ids):
    '''Commit so many events, in the order of the keys, so that nobody deadlocks; one of five is rolled back.'''
    written = 0
    with psycopg.connect(dsn) as connection:
        while written < share:
            some = sorted(random.sample(ids, random.randint(1, most)))
            half = len(some) // 2
            try:
                for each in (some[:half], some[half:]):
                    connection.execute(QUERIES["append_used"], statement(each))
            except psycopg.errors.UniqueViolation:
                connection.rollback()
                continue
            if random.random() < 0.2:
                connection.rollback()
                continue
            connection.commit()
            written += len(some)
            counts.update(map(str, some))

threads = [threading.Thread(target=write, args=([UUID(each) for each in ids],)) for ids in keys]
for thread in threads: thread.start()
for thread in threads: thread.join()
say(counts)
"""
WORKER = """
ledger = KeyLedger.open(dsn, settings=QUICK)
say("ready")
while True:
    ledger._worker.wake()
    time.sleep(0.01)
"""
PROCESSES, THREADS = 4, 4


@pytest.fixture
def ledger(dsn: str) -> Iterator[KeyLedger]:
    """A ledger that leaves the work to the processes that are killed."""
    with KeyLedger.open(dsn, settings=Settings(background_worker=False)) as ledger:
        yield ledger


@contextmanager
def open_elsewhere(dsn: str) -> Iterator[None]:
    """Meanwhile, a transaction that has written something stays open in another database of the cluster."""
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO keyledger.flushes VALUES (gen_random_uuid())")
        ((running,),) = connection.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").fetchall()
        assert running
        yield


class Reader:
    """Follows the events by position, and keeps count of the keys' events in the order that it meets them."""

    def __init__(self, dsn: str) -> None:
        self.position = 0
        self.heads = Counter[str]()
        self.faults: list[object] = []
        self._dsn = dsn
        self._over = Event()
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Return when it is at the head."""
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        with closing(Database(self._dsn, timeout_seconds=60.0)) as database:
            while True:
                over = self._over.is_set()
                rows = positions.read(database, self.position)
                for row in rows:
                    self._meet(row)
                if over and not rows:
                    return
                if not rows:
                    time.sleep(0.005)

    def _meet(self, row: positions.SequencedRow) -> None:
        key_id, last = str(row.originator_id), self.position
        if (row.position, row.originator_version) != (last + 1, self.heads[key_id] + 1):
            self.faults.append((last, row))
        self.position = row.position
        self.heads[key_id] += 1


class Workers:
    """Processes that give positions and keep the read models, until they are killed one by one, and replaced."""

    def __init__(self, start: Callable[..., Program], dsn: str, number: int) -> None:
        self._start = start
        self._dsn = dsn
        self._programs = [start(WORKER, dsn=dsn) for _ in range(number)]
        assert [program.says() for program in self._programs] == ["ready"] * number

    def kill_one(self) -> None:
        """Kill -9; sometimes its lease is over at once, sometimes others have to wait for that."""
        place = random.randrange(len(self._programs))
        self._programs[place].process.kill()
        if random.random() < 0.8:
            with psycopg.connect(self._dsn) as connection:
                connection.execute("UPDATE keyledger.sequencer SET held_until = NULL")
        self._programs[place] = self._start(WORKER, dsn=self._dsn)
        assert self._programs[place].says() == "ready"

    def end(self) -> None:
        for program in self._programs:
            program.process.kill()


@pytest.mark.parametrize(
    ("events", "most", "own", "pause"),
    [
        pytest.param(3_000, 8, False, 0.1, id="small"),
        pytest.param(1_000_000, 200, True, 2.0, id="a million", marks=pytest.mark.slow),
    ],
)
def test_sixteen_writers_who_give_up_now_and_then_and_workers_that_are_killed_leave_every_event_in_its_place(
    ledger: KeyLedger,
    dsn: str,
    new_database: Callable[[], str],
    start: Callable[..., Program],
    events: int,
    most: int,
    own: bool,
    pause: float,
) -> None:
    number = 200 * PROCESSES * THREADS if own else 60
    made = [ledger.api_keys.create(name=f"key {each}", subject="org_1").id for each in range(number)]
    ids = [str(parse_key_id(each)) for each in made]
    shares = [ids[part * 200 : part * 200 + 200] if own else ids for part in range(PROCESSES * THREADS)]
    with open_elsewhere(new_database()):
        reader, workers = Reader(dsn), Workers(start, dsn, 2)
        writers = [
            start(
                WRITERS,
                dsn=dsn,
                keys=shares[part * THREADS : (part + 1) * THREADS],
                share=events // (PROCESSES * THREADS),
                most=most,
            )
            for part in range(PROCESSES)
        ]
        kills = 0
        while any(writer.process.poll() is None for writer in writers) or kills < 2:
            time.sleep(random.uniform(0, pause))
            workers.kill_one()
            kills += 1
        written = sum((Counter(writer.says()) for writer in writers), Counter[str]())
        workers.end()
        position = catch_up(dsn)
        reader.end()

    assert written.total() >= events
    assert position == positioned(dsn) == written.total() + number
    assert not reader.faults
    assert reader.position == position
    assert reader.heads == {key_id: written[key_id] + 1 for key_id in ids}
    assert counted(dsn) == written
    if events < 10_000:
        assert_consistent(dsn)
        assert ledger.replay.verify_projections().ok


def counted(dsn: str) -> dict[str, int]:
    """How many uses the usage read model counts, by key, given that the history has each event once."""
    with psycopg.connect(dsn) as connection:
        history = connection.execute("""
            SELECT (count(*), count(DISTINCT h.position), max(h.position)) = (s.position, s.position, s.position)
            FROM keyledger.sequencer AS s CROSS JOIN keyledger.history AS h GROUP BY s.position
        """).fetchone()
        assert history == (True,)
        return dict(connection.execute("SELECT id::text, uses FROM keyledger.key_usage").fetchall())


def test_a_write_transaction_that_stays_open_in_another_database_holds_up_nothing(
    open_ledger: Callable[..., KeyLedger], new_database: Callable[[], str], dsn: str
) -> None:
    with open_elsewhere(new_database()):
        ledger = open_ledger()
        key = ledger.api_keys.create(name="meanwhile", subject="org_1")
        ledger.verify(str(key.secret))

        eventually(lambda: ledger.api_keys.get(key.id).last_used_at)
        eventually(lambda: ledger.audit.history(api_key_id=key.id).entries[1:])
        assert_consistent(dsn)


def test_a_write_transaction_that_stays_open_beside_the_events_holds_up_nothing_but_its_own(
    open_ledger: Callable[..., KeyLedger], dsn: str
) -> None:
    ledger = open_ledger()
    with psycopg.connect(dsn) as slow:
        append_new(slow, 3)
        key = ledger.api_keys.create(name="meanwhile", subject="org_1")
        ledger.verify(str(key.secret))

        eventually(lambda: ledger.api_keys.get(key.id).last_used_at)
        slow.rollback()
    assert_consistent(dsn)
