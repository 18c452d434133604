"""The same API for asyncio: coroutines that never hold up their event loop."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest

from keyledger import (
    Actor,
    APIKey,
    HistoryEntry,
    HistoryPage,
    InvalidArgument,
    KeyLedger,
    KeyNotFound,
    LedgerClosed,
    LedgerUnavailable,
    RevokedAPIKey,
    Settings,
    Use,
)
from keyledger.domain.use import RecordedUse

Locked = Callable[[], AbstractContextManager[None]]
Waiting = Callable[[], int]


async def until_waiting(waiting_sessions: Waiting, count: int) -> None:
    """Return when so many calls wait in PostgreSQL; the event loop has to turn for that."""
    async with asyncio.timeout(10):
        while await asyncio.to_thread(waiting_sessions) < count:
            await asyncio.sleep(0.01)


# What waits for nothing, or serves the command line alone.
NO_COROUTINES = {"open", "on_behalf_of", "acting", "event_rows", "revoke_once", "life"}


@pytest.mark.parametrize("part", [None, "api_keys", "audit", "replay"])
def test_every_method_is_a_coroutine_or_an_asynchronous_iterator(part: str | None, ledger: KeyLedger) -> None:
    plain, asynchronous = (
        (ledger, ledger.aio) if part is None else (getattr(ledger, part), getattr(ledger.aio, part))
    )
    names = {name for name, _ in inspect.getmembers(type(plain), inspect.isfunction) if not name.startswith("_")}
    assert names

    for name in names - NO_COROUTINES:
        method = getattr(asynchronous, name, None)
        assert inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method), name


def test_a_key_lives_through_coroutines(ledger: KeyLedger) -> None:
    async def life() -> APIKey:
        keys = ledger.aio.api_keys
        key = await keys.create(name="a key", subject="user_1", scopes=["a"])
        assert (await ledger.aio.verify(key.secret, scopes=["a"], use=Use(path="/"))).valid
        assert (await ledger.aio.authenticate(key.secret)).id == key.id
        assert (await keys.update(key.id, description="changed")).description == "changed"
        assert (await keys.get_all(subject="user_1")).total_count == 1
        assert (await keys.get(key.id)).secret is None
        return await keys.revoke(key.id, revocation_reason="done")

    revoked = asyncio.run(life())

    assert (revoked.description, revoked.revocation_reason) == ("changed", "done")


def test_errors_are_those_of_the_plain_methods(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    ledger.api_keys.revoke(key.id)

    async def fail() -> None:
        with pytest.raises(RevokedAPIKey):
            await ledger.aio.authenticate(key.secret)
        with pytest.raises(KeyNotFound):
            await ledger.aio.api_keys.get("ak_" + "0" * 32)
        with pytest.raises(InvalidArgument):
            await ledger.aio.api_keys.create(name="x", subject="user_1")
        assert (await ledger.aio.verify("ak_garbage")).code == "malformed"

    asyncio.run(fail())


def test_an_actor_acts_through_coroutines(ledger: KeyLedger) -> None:
    acting = ledger.on_behalf_of(Actor(user_id="user_1", organization_id="org_1")).aio
    key = asyncio.run(acting.api_keys.create(name="a key"))
    assert (key.subject, key.created_by) == ("org_1", "user_1")
    assert asyncio.run(acting.verify(key.secret)).valid


def test_the_history_is_read_through_coroutines(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    for number in range(250):
        ledger.verify(key.secret, use=Use(path=f"/{number}"))

    async def read() -> tuple[HistoryPage, HistoryPage, list[HistoryEntry]]:
        audit = ledger.aio.audit
        first = await audit.history(api_key_id=key.id, page_size=200, fresh=True)
        second = await audit.history(api_key_id=key.id, page_size=200, cursor=first.next_cursor)
        return first, second, [entry async for entry in audit.export(event_types=["KeyUsed"])]

    first, second, exported = asyncio.run(read())

    whole = ledger.audit.history(api_key_id=key.id, page_size=1000).entries
    assert first.entries + second.entries == whole
    assert (len(whole), exported) == (251, list(whole[-2::-1]))


def test_what_the_history_refuses_is_refused_through_coroutines(ledger: KeyLedger) -> None:
    async def fail() -> None:
        with pytest.raises(InvalidArgument, match="page_size"):
            await ledger.aio.audit.history(page_size=0)
        with pytest.raises(InvalidArgument, match="since"):
            await anext(ledger.aio.audit.export(since=5))  # type: ignore[arg-type]

    asyncio.run(fail())


def test_an_export_that_is_left_in_the_middle_holds_no_connection(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey]
) -> None:
    ledger = open_ledger(Settings(max_connections=1, background_worker=False))
    for _ in range(3):
        create()

    async def leave() -> None:
        for _ in range(5):
            async for _entry in ledger.aio.audit.export(fresh=True):
                break
        assert (await ledger.aio.audit.history()).entries

    asyncio.run(leave())


def test_fifty_calls_at_once_all_answer(
    open_ledger: Callable[..., KeyLedger], uses: Callable[[APIKey], list[RecordedUse]]
) -> None:
    ledger = open_ledger()

    async def all_at_once() -> tuple[APIKey, list[Any], list[Any]]:
        key = await ledger.aio.api_keys.create(name="a key", subject="user_1")
        calls = [ledger.aio.api_keys.create(name=f"key {number}", subject="user_2") for number in range(50)]
        verified = await asyncio.gather(*[ledger.aio.verify(key.secret) for _ in range(50)])
        return key, verified, await asyncio.gather(*calls)

    key, verified, created = asyncio.run(all_at_once())
    ledger.close()

    assert all(one.valid for one in verified)
    assert len({one.id for one in created}) == 50
    assert len(uses(key)) == 50


def test_the_event_loop_turns_while_postgresql_does_not_answer(
    ledger: KeyLedger, create: Callable[..., APIKey], locked_keys: Locked, waiting_sessions: Waiting
) -> None:
    key = create()

    async def wait() -> bool:
        with locked_keys():
            calls = [
                asyncio.create_task(ledger.aio.verify(key.secret)),
                asyncio.create_task(ledger.aio.api_keys.get_all(subject="user_1")),
            ]
            await until_waiting(waiting_sessions, len(calls))
            assert not any(call.done() for call in calls)
        verified, page = await asyncio.gather(*calls)
        return verified.valid and page.total_count == 1

    assert asyncio.run(wait())


def test_calls_that_wait_leave_the_services_own_threads_alone(
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    locked_keys: Locked,
    waiting_sessions: Waiting,
) -> None:
    ledger, key = open_ledger(Settings(max_connections=4)), create()

    async def wait() -> list[Any]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        with locked_keys():
            calls = [asyncio.create_task(ledger.aio.verify(key.secret)) for _ in range(50)]
            await until_waiting(waiting_sessions, 4)
            assert await asyncio.to_thread(lambda: "free") == "free"
        return await asyncio.gather(*calls)

    assert all(one.valid for one in asyncio.run(wait()))


def test_calls_that_wait_for_each_other_end_with_one_time_out(
    open_ledger: Callable[..., KeyLedger], create: Callable[..., APIKey], locked_keys: Locked
) -> None:
    ledger, key = open_ledger(Settings(max_connections=1, database_timeout_seconds=0.5)), create()

    async def wait() -> list[BaseException]:
        with locked_keys():
            async with asyncio.timeout(5):  # one after the other they would take ten seconds
                return await asyncio.gather(
                    *[ledger.aio.verify(key.secret) for _ in range(20)], return_exceptions=True
                )

    assert {type(error) for error in asyncio.run(wait())} == {LedgerUnavailable}


def test_a_cancelled_call_stops_waiting_and_harms_no_other(
    ledger: KeyLedger, create: Callable[..., APIKey], locked_keys: Locked, waiting_sessions: Waiting
) -> None:
    key = create()

    async def cancel() -> bool:
        with locked_keys():
            call = asyncio.create_task(ledger.aio.api_keys.revoke(key.id))
            other = asyncio.create_task(ledger.aio.verify(key.secret))
            await until_waiting(waiting_sessions, 2)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not other.done()
        return (await other).code in ("valid", "revoked")

    assert asyncio.run(cancel())


def test_a_cancelled_create_is_made_whole_or_not_at_all(
    ledger: KeyLedger, locked_keys: Locked, waiting_sessions: Waiting, events: Callable[..., list[Any]]
) -> None:
    async def cancel() -> None:
        with locked_keys():
            call = asyncio.create_task(ledger.aio.api_keys.create(name="a key", subject="user_1"))
            await until_waiting(waiting_sessions, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(cancel())
    ledger.close()

    with_rows = [event.name for event in events()]
    assert with_rows in ([], ["a key"])


def test_one_ledger_serves_one_event_loop_after_another(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    assert [asyncio.run(ledger.aio.verify(key.secret)).valid for _ in range(3)] == [True] * 3


def test_an_actor_a_request_takes_no_threads_of_its_own(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()

    async def requests() -> None:
        for number in range(50):
            await ledger.on_behalf_of(Actor(user_id=str(number))).aio.verify(key.secret)

    before = threading.active_count()
    asyncio.run(requests())

    assert threading.active_count() - before <= Settings().max_connections


def test_a_closed_ledger_says_so_to_coroutines(open_ledger: Callable[..., KeyLedger]) -> None:
    ledger = open_ledger()
    asyncio.run(ledger.aio.close())
    with pytest.raises(LedgerClosed):
        asyncio.run(ledger.aio.api_keys.get_all(subject="user_1"))
