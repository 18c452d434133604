"""`ledger.replay`: the past as a caller asks for it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from keyledger import (
    Actor,
    APIKey,
    InvalidArgument,
    KeyChange,
    KeyLedger,
    LedgerClosed,
    MalformedKeyId,
    Settings,
    Use,
)
from keyledger.infrastructure.read_models import READ_MODELS

Create = Callable[..., APIKey]
NOBODYS = "ak_" + "0" * 32
LATE_FLUSH = Settings(flush_interval_seconds=3600.0)


def now() -> datetime:
    return datetime.now(UTC)


def used(ledger: KeyLedger, key: APIKey) -> None:
    assert key.secret is not None
    assert ledger.verify(key.secret, use=Use(path="/")).valid


def kinds(changes: Any) -> list[tuple[str, str]]:
    return [(change.kind, change.api_key_id) for change in changes]


# A key


def test_a_key_is_as_it_was_before_and_after_each_command(ledger: KeyLedger, create: Create) -> None:
    before = now()
    key = create(name="deploys", scopes=["a"], claims={"plan": [1, None]}, seconds_until_expiration=3600)
    created = now()
    changed = ledger.api_keys.update(key.id, scopes=["b"], description="changed")
    updated = now()
    revoked = ledger.api_keys.revoke(key.id, revocation_reason="leaked")

    assert ledger.replay.key_as_of(key.id, before) is None
    for moment in (key.created_at, created, 1):
        found = ledger.replay.key_as_of(key.id, moment)
        assert found is not None
        assert found.as_dict() == {name: value for name, value in key.as_dict().items() if name != "secret"}
    assert ledger.replay.key_as_of(key.id, updated) == changed
    assert ledger.replay.key_as_of(key.id, now()) == revoked
    assert [ledger.replay.key_as_of(key.id, position) for position in (0, 2, 3)] == [None, changed, revoked]


def test_the_key_now_is_the_live_key(ledger: KeyLedger, create: Create) -> None:
    key = create(scopes=["a"])
    used(ledger, key)
    ledger.api_keys.update(key.id, scopes=["b"], seconds_until_expiration=60)
    used(ledger, key)
    time = now()
    found = ledger.replay.key_as_of(key.id, time)

    position = ledger.catch_up()

    assert found == ledger.api_keys.get(key.id) == ledger.replay.key_as_of(key.id, position)
    assert found is not None
    assert found.last_used_at is not None
    assert found.reload() == found


def test_an_id_that_nobody_ever_had_is_none(ledger: KeyLedger, create: Create) -> None:
    create()

    assert ledger.replay.key_as_of(NOBODYS, now()) is None
    assert ledger.replay.key_as_of(NOBODYS, ledger.catch_up()) is None


def test_a_malformed_id_is_refused(ledger: KeyLedger) -> None:
    with pytest.raises(MalformedKeyId):
        ledger.replay.key_as_of("key_1", 0)


def test_whether_a_key_had_expired_is_judged_at_the_moment(ledger: KeyLedger, create: Create) -> None:
    key = create(seconds_until_expiration=5)
    assert key.expiration is not None

    just_before = ledger.replay.key_as_of(key.id, key.expiration - timedelta(microseconds=1))
    exactly = ledger.replay.key_as_of(key.id, key.expiration)

    assert just_before is not None
    assert exactly is not None
    assert (just_before.expired, exactly.expired) == (False, True)
    position = ledger.catch_up()
    at_creation = ledger.replay.key_as_of(key.id, position)
    assert at_creation is not None
    assert not at_creation.expired


def test_the_last_use_is_found_inside_an_event_of_many(open_ledger: Callable[..., KeyLedger]) -> None:
    ledger = open_ledger(LATE_FLUSH)
    key = ledger.api_keys.create(name="a key", subject="user_1")
    moments = []
    for _ in range(3):
        used(ledger, key)
        moments.append(now())
    ledger.api_keys.revoke(key.id)

    found = [ledger.replay.key_as_of(key.id, moment) for moment in (key.created_at, *moments)]

    (event,) = [row.event for row in ledger.event_rows(key.id) if row.topic == "KeyUsed"]
    lasts = [key and key.last_used_at for key in found]
    assert lasts == [None, *(use.occurred_at for use in event.uses)]  # type: ignore[attr-defined]


def test_uses_and_events_without_a_position_are_found_at_once(open_ledger: Callable[..., KeyLedger]) -> None:
    ledger = open_ledger(Settings(flush_interval_seconds=3600.0, background_worker=False))
    key = ledger.api_keys.create(name="a key", subject="user_1")
    used(ledger, key)

    at_time = ledger.replay.key_as_of(key.id, now())

    assert at_time is not None
    assert at_time.last_used_at is not None
    assert ledger.status().store.outbox == 2
    assert ledger.replay.key_as_of(key.id, 2) == at_time, "a position beyond the head has the sequencer catch up"


def test_keys_without_a_position_are_found_among_all(open_ledger: Callable[..., KeyLedger]) -> None:
    ledger = open_ledger(Settings(background_worker=False))
    key = ledger.api_keys.create(name="a key", subject="user_1")

    assert [found.id for found in ledger.replay.keys_as_of(now())] == [key.id]
    other = ledger.api_keys.create(name="a key", subject="user_1")
    assert [found.id for found in ledger.replay.keys_as_of(now(), subject="user_1")] == [key.id, other.id]
    ledger.api_keys.revoke(key.id)
    assert kinds(ledger.replay.diff(key.created_at - timedelta(hours=1), now())) == [("gained", other.id)]


# All keys


def test_the_keys_of_a_subject_are_those_that_were_its_then(ledger: KeyLedger, create: Create) -> None:
    moved, stayed = create(subject="org_1"), create(subject="org_1")
    before = now()
    ledger.api_keys.update(moved.id, subject="org_2")
    ledger.api_keys.revoke(stayed.id)

    def ids(at: datetime | int, **options: Any) -> list[str]:
        return [key.id for key in ledger.replay.keys_as_of(at, **options)]

    assert ids(before, subject="org_1") == ids(2, subject="org_1") == [moved.id, stayed.id]
    assert ids(before, subject="org_2") == []
    assert ids(now(), subject="org_1") == []
    assert ids(now(), subject="org_1", include_invalid=True) == [stayed.id]
    assert ids(now(), subject="org_2") == [moved.id]
    assert ids(now()) == [moved.id]
    assert ids(4, include_invalid=True) == [moved.id, stayed.id]


def test_what_is_committed_after_the_call_makes_no_difference(
    ledger: KeyLedger, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyledger.infrastructure.replay.past_keys.BATCH_KEYS", 1)
    keys = [create() for _ in range(3)]
    found = ledger.replay.keys_as_of(now() + timedelta(seconds=5))
    assert next(found).id == keys[0].id

    ledger.api_keys.revoke(keys[1].id)
    create()

    assert [(key.id, key.revoked) for key in found] == [(keys[1].id, False), (keys[2].id, False)]


# What changed


def test_a_key_is_gained_by_its_creation_and_lost_by_its_revocation(ledger: KeyLedger, create: Create) -> None:
    start = now()
    key = create(actor=Actor(user_id="user_9"))
    middle = now()
    ledger.api_keys.revoke(key.id, actor=Actor(user_id="user_8"))
    rows = ledger.event_rows(key.id)

    (gained,) = ledger.replay.diff(start, middle)
    (lost,) = ledger.replay.diff(middle, now())

    assert (gained.kind, gained.before, gained.actor) == ("gained", None, Actor(user_id="user_9"))
    assert (gained.event_type, gained.position, gained.event_id) == ("KeyCreated", 1, str(rows[0].event.id))
    assert gained.after == ledger.replay.key_as_of(key.id, middle)
    assert (lost.kind, lost.before, lost.actor) == ("lost", gained.after, Actor(user_id="user_8"))
    assert (lost.event_type, lost.position, lost.occurred_at) == ("KeyRevoked", 2, rows[1].event.occurred_at)
    assert lost.after == ledger.api_keys.get(key.id)
    assert list(ledger.replay.diff(start, now())) == [], "the difference is the net one"


def test_a_diff_by_position_is_that_of_the_events_in_between(ledger: KeyLedger, create: Create) -> None:
    key = create()
    ledger.api_keys.revoke(key.id)

    assert kinds(ledger.replay.diff(0, 1)) == [("gained", key.id)]
    assert kinds(ledger.replay.diff(1, 2)) == [("lost", key.id)]
    assert kinds(ledger.replay.diff(0, 2)) == []
    assert kinds(ledger.replay.diff(1, 1)) == []


def test_an_expiry_is_a_loss_that_no_event_did(ledger: KeyLedger, create: Create) -> None:
    key = create(seconds_until_expiration=5)
    assert key.expiration is not None
    start = key.created_at

    (lost,) = ledger.replay.diff(start, key.expiration)

    assert (lost.kind, lost.api_key_id, lost.subject) == ("lost", key.id, key.subject)
    assert (lost.event_id, lost.event_type, lost.position, lost.actor) == (None, None, None, None)
    assert lost.occurred_at == key.expiration
    assert lost.after is not None
    assert lost.after.expired
    assert list(ledger.replay.diff(start, key.expiration - timedelta(microseconds=1))) == []


def test_a_key_that_was_to_expire_but_lives_longer_is_widened(ledger: KeyLedger, create: Create) -> None:
    key = create(seconds_until_expiration=5)
    start = now()
    ledger.api_keys.update(key.id, seconds_until_expiration=None)
    assert key.expiration is not None

    (change,) = ledger.replay.diff(start, key.expiration + timedelta(seconds=1))

    assert (change.kind, change.event_type) == ("widened", "KeyUpdated")


def test_an_update_may_widen_narrow_or_both(ledger: KeyLedger, create: Create) -> None:
    key = create(scopes=["a", "b"])
    for scopes in (["a", "b", "c"], ["a"], ["b"], ["b"]):
        ledger.api_keys.update(key.id, scopes=scopes)
    ledger.api_keys.update(key.id, description="no more and no less")
    ledger.api_keys.update(key.id, seconds_until_expiration=60)
    head = ledger.catch_up()

    found = [[change.kind for change in ledger.replay.diff(at, at + 1)] for at in range(1, head)]

    assert found == [["widened"], ["narrowed"], ["widened", "narrowed"], [], ["narrowed"]]
    (narrowed,) = ledger.replay.diff(1, 3)
    assert (narrowed.kind, narrowed.position) == ("narrowed", 3)


def test_a_subject_gains_and_loses_a_key_that_moves(ledger: KeyLedger, create: Create) -> None:
    key = create(subject="org_1")
    start = now()
    ledger.api_keys.update(key.id, subject="org_2")
    end = now()

    (lost,) = ledger.replay.diff(start, end, subject="org_1")
    (gained,) = ledger.replay.diff(start, end, subject="org_2")

    assert (lost.kind, lost.subject, lost.event_type) == ("lost", "org_1", "KeyUpdated")
    assert (gained.kind, gained.subject, gained.event_id) == ("gained", "org_2", lost.event_id)
    assert lost.before == gained.before
    assert list(ledger.replay.diff(start, end)) == [], "for all keys together nothing was gained or lost"


def test_a_change_is_a_dictionary_too(ledger: KeyLedger, create: Create) -> None:
    create(actor=Actor(user_id="user_9"))

    (change,) = ledger.replay.diff(0, 1)

    assert isinstance(change, KeyChange)
    found = change.as_dict()
    assert (found["kind"], found["before"], found["actor"]["user_id"]) == ("gained", None, "user_9")
    assert found["after"]["id"] == change.api_key_id
    assert hash(change) == hash(next(ledger.replay.diff(0, 1)))


# Out of the events alone


def test_replay_reads_no_read_model(ledger: KeyLedger, create: Create, inspector: psycopg.Connection[Any]) -> None:
    key, other = create(scopes=["a"]), create(seconds_until_expiration=0.01)
    used(ledger, key)
    ledger.api_keys.update(key.id, scopes=["a", "b"])
    ledger.catch_up()
    end = now()
    assert other.expiration is not None

    def everything() -> list[Any]:
        return [
            *(ledger.replay.key_as_of(each.id, at) for each in (key, other) for at in (end, 1, 2, 3, 4)),
            *ledger.replay.keys_as_of(end, include_invalid=True),
            *ledger.replay.keys_as_of(4, subject="user_1", include_invalid=True),
            *ledger.replay.diff(key.created_at, end),
            *ledger.replay.diff(0, 4, subject="user_1"),
        ]

    before = everything()
    inspector.execute("UPDATE keyledger.api_keys SET name = 'x', subject = 'x', scopes = '{}', revoked_at = now()")
    assert everything() == before
    tables = [f"keyledger.{table}" for model in READ_MODELS for table in model.tables]
    inspector.execute(f"TRUNCATE {', '.join(tables)}")
    assert everything() == before
    assert len(before) > 15


# Arguments


@pytest.mark.parametrize(
    "at",
    [True, -1, 1.5, "2026-01-01", None, datetime(2026, 1, 1), now().date()],  # noqa: DTZ001
)
def test_any_other_moment_is_refused(ledger: KeyLedger, at: Any) -> None:
    for call in (
        lambda: ledger.replay.key_as_of(NOBODYS, at),
        lambda: ledger.replay.keys_as_of(at),
        lambda: ledger.replay.diff(0, at),
        lambda: ledger.replay.diff(at, 0),
    ):
        with pytest.raises(InvalidArgument, match=r"a datetime with a time zone, or a position") as refused:
            call()
        assert refused.value.param in ("at", "start", "end")


@pytest.mark.parametrize("beyond", [2, 2**31, 2**63 - 1, 2**63, 2**200])
def test_a_position_beyond_the_last_is_refused_by_its_name(ledger: KeyLedger, create: Create, beyond: int) -> None:
    create()

    with pytest.raises(InvalidArgument, match="up to the last one, which is 1"):
        ledger.replay.keys_as_of(beyond)


def test_the_future_is_refused_but_for_clocks_that_differ(ledger: KeyLedger, create: Create) -> None:
    key = create()

    assert ledger.replay.key_as_of(key.id, now() + timedelta(seconds=5)) == key.reload()
    with pytest.raises(InvalidArgument, match="not in the future"):
        ledger.replay.key_as_of(key.id, now() + timedelta(seconds=60))


@pytest.mark.parametrize("hours", [-14, 0, 14])
def test_the_earliest_time_there_is_was_before_everything(ledger: KeyLedger, create: Create, hours: int) -> None:
    key, earliest = create(), datetime.min.replace(tzinfo=timezone(timedelta(hours=hours)))

    assert ledger.replay.key_as_of(key.id, earliest) is None
    assert list(ledger.replay.keys_as_of(earliest)) == []
    assert kinds(ledger.replay.diff(earliest, now())) == [("gained", key.id)]


def test_a_time_in_any_zone_is_the_same_moment(ledger: KeyLedger, create: Create) -> None:
    key = create()
    elsewhere = key.created_at.astimezone(timezone(timedelta(hours=-7)))

    found = ledger.replay.key_as_of(key.id, elsewhere)

    assert found == key.reload()
    assert found is not None
    assert found.created_at.tzinfo is UTC


def test_a_diff_goes_forwards_and_between_moments_of_one_kind(ledger: KeyLedger, create: Create) -> None:
    create()
    for start, end in ((1, 0), (now(), now() - timedelta(seconds=1))):
        with pytest.raises(InvalidArgument, match="start: a moment that is not after the end"):
            ledger.replay.diff(start, end)
    for mixed in ((0, now()), (now(), 1)):
        with pytest.raises(
            InvalidArgument, match="end: of the same kind as the start: two positions or two times"
        ):
            ledger.replay.diff(*mixed)


@pytest.mark.parametrize("options", [{"subject": ""}, {"subject": 1}, {"include_invalid": 1}])
def test_other_arguments_are_checked_before_the_first_key(ledger: KeyLedger, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        ledger.replay.keys_as_of(0, **options)
    assert refused.value.param in options


def test_a_closed_ledger_has_no_past(open_ledger: Callable[..., KeyLedger]) -> None:
    ledger = open_ledger()
    ledger.close()
    with pytest.raises(LedgerClosed):
        ledger.replay.key_as_of(NOBODYS, now())


# For asyncio


def test_replay_works_through_coroutines_and_asynchronous_iterators(
    ledger: KeyLedger, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyledger.aio._ITEMS", 2)
    keys = [create() for _ in range(5)]
    replay = ledger.aio.replay

    async def read() -> tuple[Any, ...]:
        return (
            await replay.key_as_of(keys[0].id, now()),
            [key.id async for key in replay.keys_as_of(now(), subject="user_1")],
            [change.api_key_id async for change in replay.diff(0, 5)],
        )

    found, listed, changed = asyncio.run(read())

    assert found == keys[0].reload()
    assert listed == changed == [key.id for key in keys]


def test_asynchronous_iterators_refuse_what_the_plain_ones_refuse(ledger: KeyLedger) -> None:
    async def read() -> None:
        async for _ in ledger.aio.replay.keys_as_of(-1):
            pass

    with pytest.raises(InvalidArgument):
        asyncio.run(read())


def test_what_is_committed_after_a_diff_was_asked_for_makes_no_difference(
    ledger: KeyLedger, create: Create
) -> None:
    before = now()
    key = create(scopes=["a"])
    found = ledger.replay.diff(before, now())
    ledger.api_keys.update(key.id, scopes=["b"])
    ledger.catch_up()

    assert kinds(found) == [("gained", key.id)]
