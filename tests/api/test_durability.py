"""The levels of durability: where a use is when its verification has answered, and what is left at the end."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from keyledger import APIKey, InvalidArgument, KeyLedger, LedgerUnavailable, Settings, Use
from keyledger.domain.ids import halves, new_uuid
from keyledger.domain.use import RecordedUse
from keyledger.infrastructure.uses.buffer import Flush
from keyledger.infrastructure.uses.journal import NAME, unstored
from keyledger.settings import Durability

LEVELS: tuple[Durability, ...] = ("buffered", "spooled", "audit_required")
Uses = Callable[[APIKey], list[RecordedUse]]


@pytest.fixture
def at_level(open_ledger: Callable[..., KeyLedger], tmp_path: Path) -> Callable[..., KeyLedger]:
    """Opens a ledger that flushes by itself only after an hour, with a spool folder of the test's own."""

    def opened(durability: Durability, **settings: Any) -> KeyLedger:
        return open_ledger(
            Settings(durability=durability, spool_dir=tmp_path, **{"flush_interval_seconds": 3600, **settings})
        )

    return opened


@pytest.fixture
def spooled_files(tmp_path: Path) -> Callable[[], list[Path]]:
    """What there is in the folder."""
    return lambda: sorted(path for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("durability", LEVELS)
def test_each_use_is_stored_once_at_every_level(
    durability: Durability, at_level: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledger, key = at_level(durability), create()
    for number in range(50):
        assert ledger.verify(key.secret, use=Use(request_id=str(number), path="/orders")).valid
    ledger.close()

    stored = uses(key)
    assert [use.use for use in stored] == [Use(request_id=str(number), path="/orders") for number in range(50)]
    assert [use.occurred_at for use in stored] == sorted(use.occurred_at for use in stored)
    assert {use.outcome for use in stored} == {"valid"}


@pytest.mark.parametrize("durability", LEVELS)
def test_close_leaves_no_file_behind(
    durability: Durability,
    at_level: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    spooled_files: Callable[[], list[Path]],
) -> None:
    ledger, key = at_level(durability), create()
    ledger.verify(key.secret)
    assert bool(spooled_files()) == (durability != "audit_required")

    ledger.close()

    assert spooled_files() == []


def test_a_spooled_use_is_in_a_file_of_its_owner_alone_when_the_verification_answers(
    at_level: Callable[..., KeyLedger], create: Callable[..., APIKey], spooled_files: Callable[[], list[Path]]
) -> None:
    ledger, key = at_level("spooled"), create()

    ledger.verify(key.secret, use=Use(path=f"/orders?key={key.secret}"))

    (spool,) = (path for path in spooled_files() if path.suffix == ".spool")
    assert b"/orders?key=ak_[redacted]" in spool.read_bytes()
    assert spool.stat().st_mode & 0o777 == 0o600
    assert spool.parent.stat().st_mode & 0o777 == 0o700
    assert ledger.status().figures["spool.size"] == spool.stat().st_size


def test_a_spool_at_its_limit_refuses_until_its_uses_are_stored(
    at_level: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledger, key = at_level("spooled", spool_limit_bytes=2_000), create()
    accepted = 0
    while ledger.status().figures["spool.size"] < 1_900:  # no more than one use from the limit
        assert ledger.verify(key.secret, use=Use(request_id=str(accepted))).valid
        accepted += 1
    with pytest.raises(LedgerUnavailable, match="no more are accepted"):
        ledger.verify(key.secret, use=Use(path="/orders" * 20))
    assert ledger.status().figures["spool.size"] <= 2_000

    ledger._recorder.flush()

    assert ledger.status().figures["spool.size"] == 0
    assert ledger.verify(key.secret, use=Use(request_id="after")).valid
    ledger.close()
    assert [use.use.request_id for use in uses(key)] == [*map(str, range(accepted)), "after"]


def test_an_audited_use_is_stored_when_the_verification_answers(
    at_level: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledger, key = at_level("audit_required"), create()
    for number in range(3):
        assert ledger.verify(key.secret, use=Use(request_id=str(number))).valid
        assert [use.use.request_id for use in uses(key)] == [str(n) for n in range(number + 1)]


def test_callers_that_wait_for_their_uses_share_commits(
    at_level: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses
) -> None:
    ledger, key = at_level("audit_required"), create()
    with ThreadPoolExecutor(16) as threads:
        assert all(found.valid for found in threads.map(lambda _: ledger.verify(key.secret), range(800)))

    assert len(uses(key)) == 800
    assert ledger.status().figures["flushes"] <= 400


def test_an_audited_verification_in_asyncio_does_not_hold_up_the_loop(
    at_level: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses, dsn: str
) -> None:
    ledger, key = at_level("audit_required"), create()

    async def verify_while_the_uses_cannot_be_stored() -> bool:
        with psycopg.connect(dsn) as connection:
            connection.execute("LOCK TABLE keyledger.flushes")
            verifying = asyncio.ensure_future(ledger.aio.verify(key.secret))
            for _ in range(20):  # the loop goes on, and the verification does not answer
                await asyncio.sleep(0.005)
                assert not verifying.done()
            connection.rollback()
        return (await verifying).valid

    assert asyncio.run(verify_while_the_uses_cannot_be_stored())
    assert len(uses(key)) == 1


@pytest.mark.parametrize("durability", LEVELS)
def test_refused_attempts_are_listed_up_to_the_limit_of_an_interval_however_often_they_are_flushed(
    durability: Durability,
    at_level: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    uses: Uses,
    events: Callable[..., list[Any]],
) -> None:
    ledger, key = at_level(durability, refused_limit_per_key=3, refused_interval_seconds=3600), create()
    for _ in range(4):
        for _ in range(5):
            assert not ledger.verify(key.secret, scopes=["missing"]).valid
        ledger._recorder.flush()
    ledger.close()

    assert len(uses(key)) == 3
    assert sum(event.refused_unlisted for event in events(key) if event.topic == "KeyUsed") == 17


def test_uses_that_cannot_be_made_into_events_wait_for_the_next_flush(
    at_level: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    uses: Uses,
    events: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger, key = at_level("buffered", refused_limit_per_key=1), create()
    for number in range(3):
        ledger.verify(key.secret, use=Use(request_id=str(number)))
        ledger.verify(key.secret, scopes=["missing"])
    with monkeypatch.context() as short:
        short.setattr(ledger._codec, "encode", _no_memory)
        with pytest.raises(MemoryError):
            ledger._recorder.flush()
    assert ledger.status().uses_waiting == 4

    ledger.close()

    assert [use.use.request_id for use in uses(key) if use.outcome == "valid"] == ["0", "1", "2"]
    assert sum(event.refused_unlisted for event in events(key) if event.topic == "KeyUsed") == 2


def _no_memory(_: object) -> bytes:
    raise MemoryError


def test_what_a_crash_loses_is_counted_also_where_younger_uses_are_stored_than_those_that_wait(
    at_level: Callable[..., KeyLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, ids = 2000, sorted(halves(new_uuid()) for _ in range(1500))
    recorder = at_level("buffered", buffer_limit_uses=limit, flush_after_uses=48)._recorder
    stored: list[int] = []

    def store(_: object, number: int, flush: Flush) -> None:
        if stored:
            raise LedgerUnavailable("PostgreSQL is away")
        stored.append(number)

    monkeypatch.setattr(recorder._store, "store", store)
    with recorder._flushing:
        for each in [*reversed(ids), *[ids[0]] * 400]:  # flushes go by the ids: the first of these wait longest
            recorder.record(*each, "valid", Use())
    with pytest.raises(LedgerUnavailable):
        recorder.flush()
    while recorder.depth < limit:
        recorder.record(*ids[0], "valid", Use())

    assert recorder._folder is not None
    journal = (recorder._folder.path / NAME).read_bytes()
    assert unstored(journal, progress=stored[0]).total() == recorder.depth == limit
    monkeypatch.undo()


def test_refused_attempts_are_listed_again_in_the_next_interval(
    at_level: Callable[..., KeyLedger], create: Callable[..., APIKey], uses: Uses, eventually: Callable[..., Any]
) -> None:
    settings = {"refused_limit_per_key": 1, "refused_interval_seconds": 0.05, "flush_interval_seconds": 0.01}
    ledger, key = at_level("buffered", **settings), create()

    def attempt() -> bool:
        ledger.verify(key.secret, scopes=["missing"])
        return len(uses(key)) >= 3

    eventually(attempt)


def test_without_a_folder_a_spooled_ledger_does_not_open(
    open_ledger: Callable[..., KeyLedger], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailable, match=r"spooled: .*spool_dir"):
        open_ledger(Settings(durability="spooled", spool_dir=tmp_path / "file"))


def test_without_a_folder_a_buffered_ledger_says_so_and_works(
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    uses: Uses,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    ledger, key = open_ledger(Settings(spool_dir=tmp_path / "file")), create()
    assert ledger.verify(key.secret).valid
    ledger.close()
    assert "will not be counted" in caplog.text
    assert len(uses(key)) == 1


@pytest.mark.parametrize("value", ["durable", None, 1, ""])
def test_the_level_is_one_of_three(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="one of buffered, spooled, audit_required") as refused:
        Settings(durability=value)
    assert refused.value.param == "durability"


@pytest.mark.parametrize("value", [1, b"/tmp", ["/tmp"]])
def test_the_spool_dir_is_a_path(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="a path or None") as refused:
        Settings(spool_dir=value)
    assert refused.value.param == "spool_dir"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("KEYLEDGER_SPOOL_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    return monkeypatch


def test_the_folder_is_the_settings_else_the_environments_else_the_ledgers_else_the_accounts(
    environment: pytest.MonkeyPatch,
) -> None:
    assert Settings().spool_path(None) == Path("/state/keyledger")
    assert Settings().spool_path(Path("/data")) == Path("/data/uses")
    environment.setenv("KEYLEDGER_SPOOL_DIR", "/spool")
    assert Settings().spool_path(Path("/data")) == Path("/spool")
    assert Settings(spool_dir="/own").spool_path(Path("/data")) == Path("/own")
