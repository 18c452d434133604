"""Requests whose `Authorization` field was let in before: decided on at once, and as ever."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from adapters.conftest import Keys, secret
from support.waiting import eventually

from keyledger import APIKey, KeyLedger, LedgerClosed, Settings, Use, Verification
from keyledger.adapters import Guard, Refusal

Fields = list[tuple[bytes, bytes]]


def bearer(text: str) -> Fields:
    return [(b"authorization", f"Bearer {text}".encode())]


def ask(guard: Guard, fields: Fields, **extra: Any) -> Any:
    """What is said at once; None where PostgreSQL has to be asked."""
    asked = {"peer": "192.0.2.1", "method": "GET", "path": "/things", **extra}
    found = guard.check_at_once(fields, **asked)
    if not isinstance(found, (APIKey, Refusal)):
        return asyncio.run(_awaited(found))
    return found


async def _awaited(found: Any) -> Any:
    return await found


def is_known(ledger: KeyLedger, fields: Fields, scopes: tuple[str, ...] = ()) -> bool:
    return ledger.aio.again(fields[0][1], scopes, Use()) is not None


def make_known(guard: Guard, fields: Fields) -> None:
    """Ask as often as it takes: what is used once is not kept at hand."""
    ledger = guard.ledger
    ledger.catch_up()

    def known() -> bool:
        assert isinstance(ask(guard, fields), APIKey)
        return is_known(ledger, fields, guard.scopes)

    eventually(known)


def uses(ledger: KeyLedger, key_id: str) -> int:
    entries = ledger.audit.history(api_key_id=key_id, event_types=["KeyUsed"], fresh=True, page_size=500).entries
    return len(entries)


def test_each_request_is_on_record_with_its_own_texts(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1")
    guard, fields = Guard(shared), bearer(str(key.secret))
    make_known(guard, fields)

    ask(guard, [*fields, (b"user-agent", b"one"), (b"x-request-id", b"r1")], peer="192.0.2.7", path="/a")
    ask(guard, [*fields, (b"user-agent", b"two")], peer="::ffff:192.0.2.8", method="POST", path="/b")

    later, earlier = shared.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries[:2]
    first = {"ip_address": "192.0.2.7", "user_agent": "one", "method": "GET", "path": "/a", "request_id": "r1"}
    second = {"ip_address": "192.0.2.8", "user_agent": "two", "method": "POST", "path": "/b"}
    assert first.items() <= earlier.details.items()
    assert second.items() <= later.details.items()


def test_it_is_the_same_key_without_a_question_to_postgresql(shared: KeyLedger) -> None:
    guard, fields = Guard(shared, scopes=["things:read"]), bearer(secret(shared, "things:*"))
    make_known(guard, fields)
    hits, misses = shared._memory.hits, shared._memory.cache.misses

    found = guard.check_at_once(fields, peer=None, method="GET", path="/")

    assert isinstance(found, APIKey)
    assert found == guard.check(fields, peer=None, method="GET", path="/")
    assert (shared._memory.hits - hits, shared._memory.cache.misses) == (2, misses)


def test_a_revoked_key_is_refused(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1")
    guard, fields = Guard(shared), bearer(str(key.secret))
    make_known(guard, fields)

    shared.api_keys.revoke(key.id)

    refusal = ask(guard, fields)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "revoked"
    assert not is_known(shared, fields)


def test_an_expired_key_is_refused(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", seconds_until_expiration=8)
    guard, fields = Guard(shared), bearer(str(key.secret))
    make_known(guard, fields)

    eventually(lambda: isinstance(ask(guard, fields), Refusal))

    assert ask(guard, fields).code == "expired"


def test_a_change_of_scopes_counts(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", scopes=["things:read"])
    guard, fields = Guard(shared, scopes=["things:read"]), bearer(str(key.secret))
    make_known(guard, fields)

    shared.api_keys.update(key.id, scopes=["other"])

    assert ask(guard, fields).code == "insufficient_scope"


def test_scopes_that_it_was_not_let_in_for_are_looked_at(shared: KeyLedger) -> None:
    guard, fields = Guard(shared, scopes=["a"]), bearer(secret(shared, "a", "b"))
    make_known(guard, fields)

    assert isinstance(ask(guard, fields, scopes=("a", "b")), APIKey)
    assert is_known(shared, fields, ("a", "b"))
    assert ask(guard, fields, scopes=("a", "c")).code == "insufficient_scope"
    assert not is_known(shared, fields, ("a", "c"))


DIFFERENT: dict[str, Callable[[bytes], Fields]] = {
    "the secret without its scheme": lambda value: [(b"authorization", value.removeprefix(b"Bearer "))],
    "another scheme": lambda value: [(b"authorization", value.replace(b"Bearer", b"Basic"))],
    "another last letter": lambda value: [(b"authorization", value[:-1] + bytes([value[-1] ^ 1]))],
    "one letter less": lambda value: [(b"authorization", value[:-1])],
    "the field twice": lambda value: [(b"authorization", value), (b"authorization", value)],
    "a second field": lambda value: [(b"authorization", value), (b"authorization", b"Bearer x")],
    "a key in the other field as well": lambda value: [(b"authorization", value), (b"x-api-key", value[7:])],
    "another field's name": lambda value: [(b"proxy-authorization", value)],
    "two keys in one field": lambda value: [(b"authorization", value + b"," + value)],
    "a field without end": lambda value: [(b"authorization", value + b"x" * 100_000)],
    "nothing": lambda _: [],
}


@pytest.mark.parametrize("change", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_is_not_quite_the_request_that_is_known_is_answered_as_ever(
    change: Callable[[bytes], Fields], shared: KeyLedger
) -> None:
    guard, fields = Guard(shared, header="X-API-Key"), bearer(secret(shared))
    make_known(guard, fields)

    other = change(fields[0][1])

    found = ask(guard, other)
    assert isinstance(found, Refusal)
    assert found == guard.check(other, peer="192.0.2.1", method="GET", path="/things")


def test_the_space_around_a_secret_does_not_matter(shared: KeyLedger) -> None:
    guard, text = Guard(shared), secret(shared)
    make_known(guard, bearer(text))

    assert isinstance(ask(guard, [(b"authorization", f"bearer  {text} ".encode())]), APIKey)


def test_a_guard_for_another_field_knows_nothing_of_it(shared: KeyLedger) -> None:
    fields = bearer(secret(shared))
    make_known(Guard(shared), fields)

    assert ask(Guard(shared, header="X-API-Key", bearer=False), fields).code == "missing"


def test_each_caller_has_claims_of_his_own(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", claims={"tier": ["gold"]})
    guard, fields = Guard(shared), bearer(str(key.secret))
    make_known(guard, fields)

    ask(guard, fields).claims["tier"].append("mine")

    assert ask(guard, fields).claims == {"tier": ["gold"]}


def test_the_address_behind_a_proxy_is_recorded(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1")
    guard, fields = Guard(shared, trusted_proxies=["10.0.0.0/8"]), bearer(str(key.secret))
    make_known(guard, fields)

    ask(guard, [*fields, (b"x-forwarded-for", b"203.0.113.9")], peer="10.1.2.3")

    assert shared.audit.history(api_key_id=key.id, fresh=True).entries[0].details["ip_address"] == "203.0.113.9"


def end_lease(ledger: KeyLedger) -> None:
    ledger._memory.lease.end()


def change_key(ledger: KeyLedger) -> None:
    ledger._memory.cache.drop(list(ledger._memory.cache.keys.recent[0]))


@pytest.mark.parametrize("happens", [end_lease, change_key])
def test_what_happens_while_the_use_is_recorded_has_postgresql_asked_and_one_use_on_record(
    happens: Callable[[KeyLedger], None], new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with KeyLedger.open(new_database()) as ledger:
        key = ledger.api_keys.create(name="a key", subject="org_1")
        guard, fields = Guard(ledger), bearer(str(key.secret))
        make_known(guard, fields)
        before, misses, record = uses(ledger, key.id), ledger._memory.cache.misses, ledger._recorder.record

        def held_up(*use: Any) -> None:
            record(*use)
            happens(ledger)

        monkeypatch.setattr(ledger._recorder, "record", held_up)
        found = ask(guard, fields)
        monkeypatch.undo()

        assert isinstance(found, APIKey)
        assert ledger._memory.cache.misses == misses + 1
        assert uses(ledger, key.id) == before + 1


@pytest.mark.parametrize("scopes", ["", 0, [], "a"])
def test_scopes_that_are_no_tuple_are_not_known(scopes: Any, shared: KeyLedger) -> None:
    guard, fields = Guard(shared), bearer(secret(shared, "a"))
    make_known(guard, fields)

    assert shared.aio.again(fields[0][1], scopes, Use()) is None


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_refusal_leaves_nothing_that_has_to_be_collected(new_database: Callable[[], str]) -> None:
    with KeyLedger.open(new_database()) as ledger:
        guard, fields = Guard(ledger), bearer(secret(ledger))
        make_known(guard, fields)
        ledger._recorder.close()  # as while the ledger is being closed, when the lease holds yet

        found = guard.check_at_once(fields, peer="192.0.2.1", method="GET", path="/things")

        assert isinstance(found, Refusal)
        assert found.status == 503
        assert not [kept for kept in gc.get_objects() if type(kept) is LedgerClosed]


def test_a_closed_ledger_cannot_decide(new_database: Callable[[], str]) -> None:
    with KeyLedger.open(new_database()) as ledger:
        guard, fields = Guard(ledger), bearer(secret(ledger))
        make_known(guard, fields)

    assert ask(guard, fields).status == 503


WAITING = {"no cache": Settings(cache_entries=0), "audit_required": Settings(durability="audit_required")}


@pytest.mark.parametrize("settings", WAITING.values(), ids=WAITING.keys())
def test_nothing_is_known_where_each_request_waits_for_postgresql(
    settings: Settings, new_database: Callable[[], str]
) -> None:
    with KeyLedger.open(new_database(), settings=settings) as ledger:
        guard, fields = Guard(ledger), bearer(secret(ledger))
        for _ in range(100):
            assert isinstance(ask(guard, fields), APIKey)

        assert not is_known(ledger, fields)


def test_so_many_fields_are_known_and_no_more(shared: KeyLedger) -> None:
    guard, text = Guard(shared), secret(shared)
    make_known(guard, bearer(text))

    for number in range(10_001):
        shared.aio.remember(f"Bearer {text} {number}".encode(), text)

    assert not is_known(shared, bearer(text))
    make_known(guard, bearer(text))


def test_a_field_is_not_kept_with_a_secret_that_is_not_its_key_s(shared: KeyLedger, keys: Keys) -> None:
    guard, text = Guard(shared), secret(shared)
    make_known(guard, bearer(text))
    other = secret(shared)

    shared.aio.remember(b"Bearer x", text[:25] + other[25:])

    assert shared.aio.again(b"Bearer x", (), Use()) is None


def test_what_is_no_field_is_not_known(shared: KeyLedger) -> None:
    again: Any = shared.aio.again

    assert [again(field, (), Use()) for field in ("Bearer x", None, bytearray(b"Bearer x"))] == [None] * 3


def test_what_was_found_for_a_key_with_claims_is_a_verification(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", claims={"a": 1})
    fields = bearer(str(key.secret))
    make_known(Guard(shared), fields)

    assert isinstance(shared.aio.again(fields[0][1], (), Use()), Verification)
