"""Verifying from memory: what is decided without a question, and what ends that."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from threading import Thread
from typing import Any

import psycopg
import pytest
from support.proxy import Proxy

from keyledger import (
    APIKey,
    InvalidArgument,
    KeyLedger,
    LedgerClosed,
    LedgerUnavailable,
    Settings,
    Use,
    Verification,
    api_keys,
)
from keyledger.domain.ids import new_uuid
from keyledger.domain.secret import ID, checksum, generate
from keyledger.domain.use import RecordedUse
from keyledger.verifying.attempt import Attempt

HASTY = Settings(flush_interval_seconds=600, database_timeout_seconds=0.5, background_worker=False)
Eventually = Callable[..., Any]


@pytest.fixture
def no_fills(monkeypatch: pytest.MonkeyPatch) -> Callable[[KeyLedger], None]:
    """Makes a ledger fail that asks PostgreSQL about a key."""

    def forbid(ledger: KeyLedger) -> None:
        def asked(*_: object) -> None:
            raise AssertionError("PostgreSQL was asked")

        monkeypatch.setattr(ledger._verifier._views, "look_up", asked)

    return forbid


def known(ledger: KeyLedger, key: APIKey) -> None:
    assert ledger.verify(key.secret).valid


def is_in_memory(ledger: KeyLedger, key: APIKey) -> bool:
    return isinstance(ledger._verifier.verify_at_once(key.secret), Verification)


def hits(ledger: KeyLedger) -> int:
    return ledger._memory.hits


def test_the_second_time_nothing_is_asked(
    ledger: KeyLedger, create: Callable[..., APIKey], no_fills: Callable[[KeyLedger], None]
) -> None:
    key = create(scopes=["repo:*"], claims={"plan": [1, 2.5]}, description="one")
    first = ledger.verify(key.secret)
    no_fills(ledger)

    again = ledger.verify(key.secret, scopes=["repo:read"])

    assert again == first
    assert again.api_key is not None
    assert (again.api_key.claims, again.api_key.scopes) == ({"plan": [1, 2.5]}, ("repo:*",))
    assert again.api_key.reload().id == key.id
    assert hits(ledger) == 1


def test_a_use_that_is_accepted_from_memory_is_recorded_once(
    ledger: KeyLedger, create: Callable[..., APIKey], uses: Callable[[APIKey], list[RecordedUse]]
) -> None:
    key = create()
    for number in range(50):
        assert ledger.verify(key.secret, use=Use(request_id=str(number))).valid
    ledger._recorder.flush()
    assert hits(ledger) == 49
    assert sorted(int(str(used.use.request_id)) for used in uses(key)) == list(range(50))


def test_garbage_is_refused_by_its_checksum_without_a_question(
    ledger: KeyLedger, create: Callable[..., APIKey], no_fills: Callable[[KeyLedger], None]
) -> None:
    no_fills(ledger)
    text = str(create().secret)
    for number in range(100_000):
        garbage = f"{text[:30]}{number:05}{text[35:]}"
        assert garbage == text or ledger.verify(garbage).code == "malformed"
    assert ledger._memory.cache.misses == 0


def test_the_second_time_an_unknown_key_is_refused_without_a_question(
    ledger: KeyLedger, no_fills: Callable[[KeyLedger], None]
) -> None:
    key_id = new_uuid()
    assert ledger.verify(generate(key_id)).code == "not_found"
    no_fills(ledger)
    assert ledger.verify(generate(key_id)).code == "not_found"
    assert hits(ledger) == 1


def test_a_key_that_was_asked_for_before_it_was_created_is_found_at_once_here_and_soon_elsewhere(
    ledger: KeyLedger,
    other: KeyLedger,
    create: Callable[..., APIKey],
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key_id = new_uuid()
    for each in (ledger, other):
        assert each.verify(generate(key_id)).code == "not_found"
    monkeypatch.setattr(api_keys, "new_uuid", lambda: key_id)
    key = create()
    assert ledger.verify(key.secret).valid
    eventually(lambda: other.verify(key.secret).valid)
    for each in (ledger, other):
        eventually(lambda: each.verify(key.secret).valid and is_in_memory(each, key))  # noqa: B023


def test_an_unknown_key_is_not_refused_from_memory_once_the_lease_is_over(proxy: Proxy) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        secret = generate(new_uuid())
        assert ledger.verify(secret).code == "not_found"
        proxy.refuse()
        ledger._memory.lease.end()
        with pytest.raises(LedgerUnavailable):
            ledger.verify(secret)
        proxy.refuse(False)


def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    proxy: Proxy, caplog: pytest.LogCaptureFixture, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        assert ledger.verify(generate(new_uuid())).code == "not_found"
        asked = ledger._memory._feed._link
        failed = Counter[str]()
        close = asked.close
        monkeypatch.setattr(asked, "close", lambda: (failed.update(["times"]), close()))
        proxy.refuse()
        eventually(lambda: failed["times"] > 5)
        proxy.refuse(False)
        eventually(lambda: "news from PostgreSQL again" in caplog.text)

    said = [record.getMessage() for record in caplog.records if record.name == "keyledger.feed"]
    assert len(said) == 2
    assert said[0].startswith("no news from PostgreSQL: ")


@pytest.mark.parametrize("what", ["the lease", "the key"])
def test_what_ends_while_a_use_is_recorded_is_not_decided_on_from_memory(
    ledger: KeyLedger, create: Callable[..., APIKey], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    key, memory = create(), ledger._memory
    known(ledger, key)
    record = ledger._recorder.record

    def recorded(*noted: Any) -> None:
        record(*noted)
        memory.lease.end() if what == "the lease" else memory.cache.drop([str(key.secret)[ID]])

    monkeypatch.setattr(ledger._recorder, "record", recorded)

    assert isinstance(ledger._verifier.verify_at_once(key.secret), Attempt)


def test_a_key_that_changes_while_its_first_use_is_recorded_is_read_again(
    ledger: KeyLedger, create: Callable[..., APIKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create()
    ledger._recorder._prepare()
    record = ledger._recorder.record

    def recorded(*noted: Any) -> None:
        record(*noted)
        ledger.api_keys.revoke(key.id)

    monkeypatch.setattr(ledger._recorder, "record", recorded)

    assert ledger.verify(key.secret).code == "revoked"


def test_claims_are_the_callers_own(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(claims={"role": "reader", "teams": ["one"]})
    for _ in range(100):  # also once the key is at hand
        found = ledger.verify(key.secret).api_key
        assert found is not None
        assert found.claims == {"role": "reader", "teams": ["one"]}
        found.claims["role"] = "admin"
        found.claims["teams"].append("another")


@pytest.mark.parametrize("wanted", [["repo:write"], ["deploy"], ["repo:read", "admin"]])
def test_scopes_are_judged_from_memory_too(
    ledger: KeyLedger, create: Callable[..., APIKey], no_fills: Callable[[KeyLedger], None], wanted: list[str]
) -> None:
    key = create(scopes=["repo:read"])
    known(ledger, key)
    no_fills(ledger)
    found = ledger.verify(key.secret, scopes=wanted)
    assert (found.valid, found.code) == (False, "insufficient_scope")
    assert ledger.verify(key.secret, scopes=["repo:read"]).valid


def test_another_secret_of_a_known_key_is_not_taken_for_it(
    ledger: KeyLedger, create: Callable[..., APIKey]
) -> None:
    key, stranger = create(), create()
    known(ledger, key)
    assert ledger.verify(_with_id_of(key, stranger)).code == "not_found"
    known(ledger, key)


def test_this_process_decides_by_its_own_changes_at_once(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(scopes=["a"])
    known(ledger, key)
    ledger.api_keys.update(key.id, scopes=["b"])
    assert ledger.verify(key.secret, scopes=["a"]).code == "insufficient_scope"
    assert ledger.verify(key.secret, scopes=["b"]).valid
    ledger.api_keys.revoke(key.id)
    assert ledger.verify(key.secret).code == "revoked"
    assert ledger.verify(key.secret).code == "revoked"


def test_another_process_sees_each_change(
    ledger: KeyLedger, other: KeyLedger, create: Callable[..., APIKey], eventually: Eventually
) -> None:
    key = create(scopes=["a"])
    known(other, key)
    ledger.api_keys.update(key.id, scopes=["b"])
    eventually(lambda: other.verify(key.secret, scopes=["b"]).valid)
    assert other.verify(key.secret, scopes=["a"]).code == "insufficient_scope"
    ledger.api_keys.revoke(key.id)
    eventually(lambda: other.verify(key.secret).code == "revoked")
    assert other.verify(key.secret).code == "revoked"


@pytest.mark.parametrize("settings", [Settings(prepared_statements=False), Settings(background_worker=False)])
def test_another_process_sees_a_change_also_where_it_cannot_listen_and_where_nobody_gives_positions(
    open_ledger: Callable[..., KeyLedger], eventually: Eventually, settings: Settings
) -> None:
    one, other = open_ledger(settings), open_ledger(settings)
    key = one.api_keys.create(name="a key", subject="user_1")
    known(other, key)
    one.api_keys.revoke(key.id)
    eventually(lambda: other.verify(key.secret).code == "revoked")


def test_what_another_program_writes_into_the_ledger_is_seen(
    ledger: KeyLedger, dsn: str, create: Callable[..., APIKey], eventually: Eventually
) -> None:
    key = create()
    known(ledger, key)
    with KeyLedger.open(dsn, settings=Settings(cache_entries=0)) as program:
        program.api_keys.revoke(key.id)
    eventually(lambda: ledger.verify(key.secret).code == "revoked")


def test_a_key_expires_in_memory(ledger: KeyLedger, create: Callable[..., APIKey], eventually: Eventually) -> None:
    key = create(seconds_until_expiration=1.5)
    ledger.verify(key.secret)
    eventually(lambda: ledger.verify(key.secret).code == "expired")
    assert ledger.verify(key.secret).code == "expired"


def test_a_key_expires_by_the_databases_clock(
    ledger: KeyLedger, create: Callable[..., APIKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create(seconds_until_expiration=3600)
    known(ledger, key)
    lease = ledger._memory.lease
    asked = []
    monkeypatch.setattr(ledger._verifier, "settle", lambda attempt: asked.append(attempt) or "asked")
    monkeypatch.setattr(lease.__class__, "grant", lambda *_: None)
    lease.ahead_seconds += 3700
    lease.until = float("inf")
    assert ledger.verify(key.secret) == "asked"


def test_with_no_room_for_keys_each_verification_asks(
    open_ledger: Callable[..., KeyLedger], dsn: str, create: Callable[..., APIKey]
) -> None:
    ledger, key = open_ledger(Settings(cache_entries=0)), create()
    known(ledger, key)
    known(ledger, key)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT FROM keyledger.verifiers").rowcount == 0
    assert len(ledger._memory.cache) == 0


def test_of_many_keys_the_last_ones_stay_in_memory(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey]
) -> None:
    ledger = open_ledger(Settings(cache_entries=5))
    keys = [create() for _ in range(12)]
    for key in keys:
        known(ledger, key)
    assert len(ledger._memory.cache) == 5
    for key in keys[-5:]:
        known(ledger, key)
    assert hits(ledger) == 5


def test_while_postgresql_is_away_keys_are_accepted_for_a_lease_and_none_after_it(
    proxy: Proxy, eventually: Eventually, dsn: str
) -> None:
    with KeyLedger.open(dsn) as writer, ExitStack() as stack:
        key = writer.api_keys.create(name="a key", subject="user_1")
        ledger = KeyLedger.open(proxy.dsn, settings=HASTY)
        stack.callback(ledger.close)
        stack.callback(proxy.refuse, False)
        known(ledger, key)

        proxy.refuse()
        accepted, lease = 0, ledger._memory.lease
        while True:
            begun = lease._clock()
            try:
                assert ledger.verify(key.secret).valid
            except LedgerUnavailable:
                break
            assert begun < lease.until
            accepted += 1
        assert accepted > 0
        assert not lease.holds
        for scopes in ([], ["a"]):
            with pytest.raises(LedgerUnavailable):
                ledger.verify(key.secret, scopes=scopes)

        writer.api_keys.revoke(key.id)
        proxy.refuse(False)
        assert eventually(lambda: _code(ledger, key)) == "revoked"


def test_garbage_is_refused_while_postgresql_is_away(proxy: Proxy) -> None:
    with KeyLedger.open(proxy.dsn, settings=HASTY) as ledger:
        proxy.refuse()
        assert ledger.verify("ak_garbage").code == "malformed"
        proxy.refuse(False)


def test_many_threads_decide_from_one_memory(
    ledger: KeyLedger, other: KeyLedger, create: Callable[..., APIKey]
) -> None:
    keys = [create() for _ in range(5)]
    codes: list[list[str]] = [[] for _ in range(8)]
    over = [False]

    def verify(place: int) -> None:
        while not over[0]:
            codes[place].append(other.verify(keys[place % 5].secret).code)

    threads = [Thread(target=verify, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    while min(map(len, codes)) < 20:
        time.sleep(0.001)
    for key in keys:
        ledger.api_keys.revoke(key.id, barrier=True)
    seen = [len(found) + 1 for found in codes]  # each may have one call under way that began before
    while any(len(found) < least + 5 for found, least in zip(codes, seen, strict=True)):
        time.sleep(0.001)
    over[0] = True
    for thread in threads:
        thread.join()
    assert all(set(found[least:]) == {"revoked"} for found, least in zip(codes, seen, strict=True))
    assert all(found == sorted(found, key=["valid", "revoked"].index) for found in codes)


def test_whatis_in_memory_is_answered_without_leaving_the_event_loop(
    ledger: KeyLedger, create: Callable[..., APIKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create(scopes=["a"])

    async def life() -> None:
        assert (await ledger.aio.verify(key.secret)).valid
        for coroutine in (ledger.aio.verify(key.secret), ledger.aio.authenticate(key.secret, scopes=["a"])):
            with pytest.raises(StopIteration):  # it ended without having waited for anything
                coroutine.send(None)
        await ledger.aio.api_keys.revoke(key.id, barrier=True)
        assert (await ledger.aio.verify(key.secret)).code == "revoked"

    asyncio.run(life())
    assert hits(ledger) == 2


def test_where_a_use_must_be_stored_first_a_hit_waits_for_it_and_not_in_the_event_loop(
    open_ledger: Callable[..., KeyLedger], uses: Callable[[APIKey], list[RecordedUse]]
) -> None:
    ledger = open_ledger(Settings(durability="audit_required"))
    key = ledger.api_keys.create(name="a key", subject="user_1")
    known(ledger, key)

    async def verify() -> None:
        coroutine = ledger.aio.verify(key.secret)
        coroutine.send(None)  # it waits for something
        coroutine.close()
        assert (await ledger.aio.verify(key.secret)).valid

    before = len(uses(key))
    asyncio.run(verify())
    assert before == 1
    assert len(uses(key)) >= 2
    assert hits(ledger) >= 1


def test_status_shows_how_memory_does(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    assert ledger.status().figures["lease.age"] == 0
    key = create()
    known(ledger, key)
    known(ledger, key)
    figures = ledger.status().figures
    assert (figures["cache.hits"], figures["cache.misses"], figures["cache.keys"]) == (1, 1, 1)
    assert figures["lease.age"] >= 0


def test_a_closed_ledger_accepts_nothing_from_memory(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey]
) -> None:
    ledger, key = open_ledger(), create()
    known(ledger, key)
    ledger.close()
    with pytest.raises(LedgerClosed):
        ledger.verify(key.secret)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        *(("lease_seconds", bad, "above 0, up to 10") for bad in (0, -1, 10.1, float("nan"), "1", None, True)),
        *(("feed_interval_seconds", bad, "above 0, up to 10") for bad in (0, -1, 11, float("nan"), "1", None)),
        ("feed_interval_seconds", 0.51, "at most half of lease_seconds"),
        *(("cache_entries", bad, "whole number of at least 0") for bad in (-1, 1.5, "5", None, True)),
    ],
    ids=repr,
)
def test_the_settings_of_memory_have_bounds(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(InvalidArgument, match=allowed) as refused:
        Settings(**{field: value})
    assert refused.value.param == field


def test_the_settings_of_memory_go_up_to_their_bounds() -> None:
    Settings(lease_seconds=10, feed_interval_seconds=5, cache_entries=0)
    Settings(lease_seconds=0.5, feed_interval_seconds=0.25)


def _code(ledger: KeyLedger, key: APIKey) -> str | None:
    try:
        return ledger.verify(key.secret).code
    except LedgerUnavailable:
        return None


def _with_id_of(key: APIKey, stranger: APIKey) -> str:
    """A well-formed secret that says it is of a key, and is not."""
    body = str(key.secret)[:25] + str(stranger.secret)[25:68]
    return body + checksum(body)
