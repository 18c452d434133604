"""The levels of durability while PostgreSQL is away, on damaged files, after forks, and over and over."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from support.invariants import accepted_uses, assert_consistent, lost_uses
from support.program import Program
from support.proxy import Proxy
from support.waiting import eventually

from keyledger import KeyLedger, LedgerUnavailable, Settings, Use
from keyledger.domain.ids import halves, parse_key_id
from keyledger.domain.microseconds import EPOCH
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.uses.buffer import lost
from keyledger.infrastructure.uses.files import UseFolder
from keyledger.infrastructure.uses.frames import HEADER, frames
from keyledger.infrastructure.uses.recovery import Recovery
from keyledger.infrastructure.uses.spool import Delivery, Spool, files
from keyledger.infrastructure.uses.store import UseStore, sources_of

LEAVER = """
ledger = KeyLedger.open(dsn, settings=Settings(
    durability=durability, spool_dir=spool_dir, flush_interval_seconds=3600.0, background_worker=False
))
for number in range(uses):
    assert ledger.verify(secret, use=Use(request_id=f"use {number}")).valid
say("recorded")
time.sleep(60)
"""
FORKER = """
ledger = KeyLedger.open(dsn, settings=Settings(
    durability=durability, spool_dir=spool_dir, flush_interval_seconds=3600.0, background_worker=False
))
def verify(request_id):
    assert ledger.verify(secret, use=Use(request_id=request_id)).valid
verify("before the fork")
if os.fork() == 0:
    verify("of the child")
    say("forked")
    hear()
    ledger.close()
    say("closed")
    os._exit(0)
time.sleep(60)
"""

FULL_DISK = """
import resource
ledger = KeyLedger.open(dsn, settings=Settings(
    durability=durability, spool_dir=spool_dir, flush_interval_seconds=3600.0, background_worker=False
))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))  # as on a full disk
def verify(number):
    try:
        return ledger.verify(secret, use=Use(request_id=f"use {number}", path="/orders" * 10)).valid
    except LedgerUnavailable:
        return False
say([number for number in range(200) if verify(number)])
if durability == "spooled":
    os.kill(os.getpid(), 9)
ledger.close()
"""


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def folders(spool_dir: Path) -> set[Path]:
    return {lock.parent for lock in spool_dir.glob("*/*/lock")}


def settings_of(durability: str, spool_dir: Path, **others: object) -> Settings:
    given = {"durability": durability, "spool_dir": spool_dir, "flush_interval_seconds": 0.02}
    return Settings(**{**given, "database_timeout_seconds": 0.5, **others})  # type: ignore[arg-type]


def test_a_buffered_ledger_counts_what_it_sheds_while_postgresql_is_away(
    proxy: Proxy, dsn: str, spool_dir: Path
) -> None:
    settings = settings_of("buffered", spool_dir, buffer_limit_uses=100)
    with KeyLedger.open(proxy.dsn, settings=settings) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        proxy.refuse()
        record_many(ledger, key.id, 1_000)
        assert ledger._recorder._memory.uses_shed >= 900 - 16  # of 16 threads each may see the last room
        proxy.refuse(False)
        eventually(lambda: ledger.status().uses_waiting == 0 and not ledger._recorder._memory._journal.has_shed)

    assert len(accepted_uses(dsn)) + lost_uses(dsn)[key.id, "full"] == 1_000
    assert_consistent(dsn)


def test_a_spooled_ledger_goes_on_to_its_limit_while_postgresql_is_away(
    proxy: Proxy, dsn: str, spool_dir: Path
) -> None:
    settings = settings_of("spooled", spool_dir, buffer_limit_uses=1, spool_limit_bytes=60_000)
    with KeyLedger.open(proxy.dsn, settings=settings) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        proxy.refuse()
        accepted = record_many(ledger, key.id, 3_000)
        assert 1_000 < len(accepted) < 3_000
        proxy.refuse(False)
        eventually(lambda: ledger.status().figures["spool.size"] == 0)
        assert ledger.verify(str(key.secret), use=Use(request_id="after")).valid

    assert accepted_uses(dsn) == dict.fromkeys([*accepted, "after"], 1)
    assert not lost_uses(dsn)


def test_an_audited_ledger_refuses_while_postgresql_is_away(proxy: Proxy, dsn: str, spool_dir: Path) -> None:
    with KeyLedger.open(proxy.dsn, settings=settings_of("audit_required", spool_dir)) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1")
        proxy.refuse()
        assert record_many(ledger, key.id, 32) == []
        with ledger._recorder._flushing:  # nothing is on its way any more
            proxy.refuse(False)
        assert ledger.verify(str(key.secret), use=Use(request_id="after")).valid

    assert accepted_uses(dsn) == {"after": 1}


def test_a_use_that_the_disk_has_no_room_for_is_refused_and_those_before_it_are_stored(
    ledger: KeyLedger, dsn: str, spool_dir: Path, start: Callable[..., Program]
) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")
    program = start(FULL_DISK, dsn=dsn, secret=key.secret, durability="spooled", spool_dir=str(spool_dir))
    accepted = program.says()
    program.finish()
    assert 50 < len(accepted) < 200

    with KeyLedger.open(dsn, settings=Settings(spool_dir=spool_dir)):
        eventually(lambda: not folders(spool_dir))
    assert accepted_uses(dsn) == {f"use {number}": 1 for number in accepted}
    assert not list(spool_dir.glob("*/*.damaged"))


def test_a_buffered_ledger_works_on_a_full_disk(
    ledger: KeyLedger, dsn: str, spool_dir: Path, start: Callable[..., Program]
) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")
    program = start(FULL_DISK, dsn=dsn, secret=key.secret, durability="buffered", spool_dir=str(spool_dir))
    assert program.says() == list(range(200))
    assert program.finish() == 0
    assert accepted_uses(dsn).total() == 200
    assert not folders(spool_dir)


def record_many(ledger: KeyLedger, key_id: str, count: int) -> list[str]:
    """Record uses from 16 threads, past a verification that would ask PostgreSQL; returns those accepted."""
    recorder, halves_of_key = ledger._recorder, halves(parse_key_id(key_id))

    def record(number: int) -> str | None:
        try:
            recorder.record(*halves_of_key, "valid", Use(request_id=f"use {number}"))
        except LedgerUnavailable:
            return None
        return f"use {number}"

    with ThreadPoolExecutor(16) as threads:
        return [accepted for accepted in threads.map(record, range(count)) if accepted]


@pytest.mark.parametrize("damage", ["none", "cut", "bit", "header", "zeros", "empty"])
def test_a_damaged_spool_gives_every_whole_use_before_the_damage_and_no_other(
    damage: str, ledger: KeyLedger, dsn: str, spool_dir: Path, start: Callable[..., Program]
) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")
    program = start(LEAVER, dsn=dsn, secret=key.secret, durability="spooled", spool_dir=str(spool_dir), uses=10)
    assert program.says() == "recorded"
    program.kill()
    (spool,) = spool_dir.glob("*/*/*.spool")
    data = spool.read_bytes()
    ends = [HEADER.size, *(found.end for found in frames(data))]
    bit = data[: ends[7] + 9] + bytes([data[ends[7] + 9] ^ 4]) + data[ends[7] + 10 :]
    changed, whole = {
        "none": (data, 10),
        "cut": (data[: ends[6] + 3], 6),
        "bit": (bit, 7),
        "header": (b"\0" + data[1:], 0),
        "zeros": (data[: ends[4]] + bytes(4096), 4),
        "empty": (b"", 0),
    }[damage]
    spool.write_bytes(changed)

    with KeyLedger.open(dsn, settings=Settings(spool_dir=spool_dir)):
        eventually(lambda: not folders(spool_dir))

    assert accepted_uses(dsn) == {f"use {number}": 1 for number in range(whole)}
    kept = [path.read_bytes() for path in spool_dir.glob("*/*.damaged")]
    assert kept == ([changed] if damage in ("bit", "header", "zeros") else [])
    assert_consistent(dsn)


def test_what_a_killed_process_left_is_taken_over_by_one_that_runs_already(
    open_ledger: Callable[..., KeyLedger],
    dsn: str,
    spool_dir: Path,
    start: Callable[..., Program],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("keyledger.infrastructure.uses.recovery._LOOK_SECONDS", 0.02)
    ledger = open_ledger(settings_of("buffered", spool_dir))
    key = ledger.api_keys.create(name="one", subject="org_1")
    ledger.verify(str(key.secret), use=Use(request_id="of the living"))
    program = start(LEAVER, dsn=dsn, secret=key.secret, durability="buffered", spool_dir=str(spool_dir), uses=7)
    assert program.says() == "recorded"
    assert not lost_uses(dsn)

    program.kill()

    eventually(lambda: lost_uses(dsn) == {(key.id, "crash"): 7})
    eventually(lambda: ledger.status().figures["uses.lost"] == 7)
    eventually(lambda: len(folders(spool_dir)) == 1)


def test_each_ledger_takes_over_its_own_only(
    new_database: Callable[[], str], spool_dir: Path, start: Callable[..., Program]
) -> None:
    dsn, other = new_database(), new_database()
    for each in (dsn, other):
        with KeyLedger.open(each) as ledger:
            key = ledger.api_keys.create(name="one", subject="org_1")
        program = start(
            LEAVER, dsn=each, secret=key.secret, durability="spooled", spool_dir=str(spool_dir), uses=3
        )
        assert program.says() == "recorded"
        program.kill()

    with KeyLedger.open(other, settings=settings_of("spooled", spool_dir)):
        eventually(lambda: len(accepted_uses(other)) == 3)
    assert not accepted_uses(dsn)
    with KeyLedger.open(dsn, settings=settings_of("spooled", spool_dir)):
        eventually(lambda: len(accepted_uses(dsn)) == 3)


@pytest.mark.parametrize("durability", ["buffered", "spooled"])
def test_a_forked_child_has_files_of_its_own_and_does_not_keep_its_parents_locked(
    durability: str, ledger: KeyLedger, dsn: str, spool_dir: Path, start: Callable[..., Program]
) -> None:
    key = ledger.api_keys.create(name="one", subject="org_1")
    given = {"dsn": dsn, "secret": key.secret, "durability": durability, "spool_dir": str(spool_dir)}
    program = start(FORKER, **given)
    assert program.says() == "forked"
    assert len(folders(spool_dir)) == 2
    program.process.kill()  # the parent; its child lives on
    program.process.wait()

    with KeyLedger.open(dsn, settings=settings_of(durability, spool_dir)) as other:
        eventually(lambda: accepted_uses(dsn).total() + lost_uses(dsn).total() == 1)
        program.tell("go on")
        assert program.says() == "closed"
        assert other.verify(str(key.secret)).valid

    uses = accepted_uses(dsn)
    assert uses["of the child"] == 1
    assert uses["before the fork"] + lost_uses(dsn)[key.id, "crash"] == 1
    assert not folders(spool_dir)
    assert_consistent(dsn)


def test_a_spool_that_is_half_stored_is_finished_exactly_even_after_months(
    ledger: KeyLedger, dsn: str, database: Database, spool_dir: Path
) -> None:
    key_id = parse_key_id(ledger.api_keys.create(name="one", subject="org_1").id)
    store, codec, folder = UseStore(database, lambda: None), EventCodec(), UseFolder.create(spool_dir)
    spool = Spool(folder, 10_000)
    for number in range(10):
        spool.write(key_id, number, "valid", Use(request_id=f"use {number}"))
    (path,) = spool.seal()
    half = spool_dir / path.name
    half.write_bytes(path.read_bytes()[: list(frames(path.read_bytes()))[4].end])
    Delivery(store, codec, sources_of(folder.source)[1], 0).deliver(half)
    assert len(accepted_uses(dsn)) == 5
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE keyledger.flushes SET flushed_at = flushed_at - interval '90 days'")
    store.prune()
    folder.abandon()

    assert Recovery(spool_dir, store, codec).run() == 1

    assert accepted_uses(dsn) == {f"use {number}": 1 for number in range(10)}


def test_a_flush_that_was_still_on_its_way_when_the_loss_was_put_on_record_is_not_stored_any_more(
    ledger: KeyLedger, dsn: str, database: Database
) -> None:
    key_id = parse_key_id(ledger.api_keys.create(name="one", subject="org_1").id)
    store, source = UseStore(database, lambda: None), uuid4()
    flush = lost(EventCodec(), [(key_id, 1)], "crash", EPOCH)
    assert store.store(source, 1, flush)
    assert store.store(source, 5, flush, start=1)

    assert not store.store(source, 2, flush)
    assert not store.store(source, 9, flush, start=1)
    assert store.progress(source) == 5
    store.finish(source)
    assert not store.store(source, 9, flush)
    assert lost_uses(dsn).total() == 2


def test_a_spool_of_many_files_is_delivered_in_order(
    ledger: KeyLedger, dsn: str, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyledger.infrastructure.uses.spool.FILE_BYTES", 1_000)
    with KeyLedger.open(dsn, settings=settings_of("spooled", spool_dir, flush_interval_seconds=3600)) as spooled:
        key = spooled.api_keys.create(name="one", subject="org_1")
        for number in range(100):
            assert spooled.verify(str(key.secret), use=Use(request_id=f"use {number}")).valid
        assert len(files(next(iter(folders(spool_dir))))) > 3

    assert list(accepted_uses(dsn)) == [f"use {number}" for number in range(100)]
