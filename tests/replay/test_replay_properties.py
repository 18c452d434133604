"""Whatever happened, with clocks apart and uses that come late, replay finds what folding all of it finds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.histories import SUBJECTS, Recorded, State, accepted, at_position, at_time, histories

from keyledger import APIKey, KeyChange
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import key_id_text
from keyledger.replay import Replay

Tell = Callable[[list[Recorded]], None]
Moment = int | datetime

some_examples = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def states(history: list[Recorded], at: Moment) -> dict[UUID, State]:
    return at_position(history, at) if isinstance(at, int) else at_time(history, at)


def times(history: list[Recorded]) -> st.SearchStrategy[datetime]:
    """Moments at which something happened, or just before or after."""
    found: set[datetime] = set()
    for _, stored, recorded_at in history:
        found |= {recorded_at, stored.event.occurred_at}
        if isinstance(stored.event, KeyUsed):
            found |= set(accepted(stored.event))
        elif (expiration := getattr(stored.event, "expiration", None)) is not None:
            found.add(expiration)
    near = st.sampled_from([timedelta(microseconds=each) for each in (-1, 0, 1)] + [timedelta(seconds=5)])
    return st.builds(lambda time, off: time + off, st.sampled_from(sorted(found)), near)


def positions(history: list[Recorded]) -> st.SearchStrategy[int]:
    return st.integers(0, len(history))


def assert_is(found: APIKey | None, expected: State | None) -> None:
    if expected is None:
        assert found is None
        return
    assert found is not None
    key = expected.key
    assert found.as_dict() == {
        "id": key_id_text(key.id),
        **{
            field: getattr(key, field)
            for field in ("type", "name", "subject", "description", "scopes", "created_at", "created_by")
        },
        "claims": {"plan": "free"},
        "updated_at": key.updated_at,
        "expiration": key.expiration,
        "expired": expected.expired,
        "last_used_at": expected.last_used_at,
        "revoked": key.revoked_at is not None,
        "revocation_reason": key.revocation_reason,
    }


@some_examples
@given(data=st.data(), history=histories())
def test_a_key_is_what_its_events_made_it(
    replay: Replay, tell: Tell, data: st.DataObject, history: list[Recorded]
) -> None:
    tell(history)
    ids = {each.stored.originator_id for each in history}
    for at in data.draw(st.lists(positions(history) | times(history), min_size=8, max_size=8)):
        expected = states(history, at)
        for key_id in ids:
            assert_is(replay.key_as_of(key_id_text(key_id), at), expected.get(key_id))


@some_examples
@given(data=st.data(), history=histories())
def test_all_keys_are_what_their_events_made_them(
    replay: Replay, tell: Tell, data: st.DataObject, history: list[Recorded]
) -> None:
    tell(history)
    created = list(dict.fromkeys(key_id_text(each.stored.originator_id) for each in history))
    for at in data.draw(st.lists(positions(history) | times(history), min_size=4, max_size=4)):
        expected = {key_id_text(key_id): state for key_id, state in states(history, at).items()}
        for subject in (None, *SUBJECTS):
            order = [each for each in (created if subject is None else sorted(created)) if each in expected]
            for every in (False, True):
                found = list(replay.keys_as_of(at, subject=subject, include_invalid=every))
                wanted = [
                    key_id
                    for key_id in order
                    if expected[key_id].counts_for(subject)
                    or (every and subject in (None, expected[key_id].key.subject))
                ]
                assert [key.id for key in found] == wanted
                for key in found:
                    assert_is(key, expected[key.id])


def expected_kinds(before: State | None, after: State | None, subject: str | None) -> set[str]:
    had = before is not None and before.counts_for(subject)
    has = after is not None and after.counts_for(subject)
    if not (had and has):
        return {"gained"} if has else {"lost"} if had else set()
    assert before is not None
    assert after is not None
    old, new = before.key, after.key
    never = datetime(9999, 1, 1, tzinfo=UTC)
    older, newer = (key.expiration or never for key in (old, new))
    kinds = set()
    if set(new.scopes) - set(old.scopes) or newer > older:
        kinds.add("widened")
    if set(old.scopes) - set(new.scopes) or newer < older:
        kinds.add("narrowed")
    return kinds


def assert_is_owed_to_its_event(change: KeyChange, history: list[Recorded], start: Moment) -> None:
    if change.position is None:
        assert (change.kind, change.event_id, change.event_type, change.actor) == ("lost", None, None, None)
        assert change.before is not None
        return
    stored = history[change.position - 1].stored
    assert change.api_key_id == key_id_text(stored.originator_id)
    assert (change.event_id, change.event_type) == (str(stored.event.id), stored.event.topic)
    assert change.occurred_at == stored.event.occurred_at
    assert (
        change.event_type
        in {
            "gained": ("KeyCreated", "KeyUpdated"),
            "lost": ("KeyRevoked", "KeyUpdated", "KeyDeleted"),
            "widened": ("KeyUpdated",),
            "narrowed": ("KeyUpdated",),
        }[change.kind]
    )
    if isinstance(start, int):
        assert change.position > start


@some_examples
@given(data=st.data(), history=histories())
def test_a_diff_is_what_differs_between_the_two_moments(
    replay: Replay, tell: Tell, data: st.DataObject, history: list[Recorded]
) -> None:
    tell(history)
    for kind in (positions(history), times(history)) * 3:
        start, end = sorted(data.draw(st.tuples(kind, kind)))  # type: ignore[type-var]
        before, after = states(history, start), states(history, end)
        for subject in (None, *SUBJECTS):
            expected: dict[str, Any] = {}
            for key_id in {each.stored.originator_id for each in history}:
                if kinds := expected_kinds(before.get(key_id), after.get(key_id), subject):
                    expected[key_id_text(key_id)] = kinds
            found = list(replay.diff(start, end, subject=subject))
            assert len(found) == sum(map(len, expected.values()))
            kinds_found: dict[str, set[str]] = {}
            for change in found:
                kinds_found.setdefault(change.api_key_id, set()).add(change.kind)
                assert_is(change.before, {key_id_text(i): s for i, s in before.items()}.get(change.api_key_id))
                assert_is(change.after, {key_id_text(i): s for i, s in after.items()}.get(change.api_key_id))
                assert_is_owed_to_its_event(change, history, start)
            assert kinds_found == expected


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few at a time that even these histories need several."""
    monkeypatch.setattr("keyledger.infrastructure.replay.past_keys.BATCH_KEYS", 2)
    monkeypatch.setattr("keyledger.infrastructure.replay.past._EVENTS_FIRST", 2)
    monkeypatch.setattr("keyledger.infrastructure.replay.past._EVENTS", 3)
    monkeypatch.setattr("keyledger.infrastructure.replay.past._USES_FIRST", 1)
    monkeypatch.setattr("keyledger.infrastructure.replay.past._USES", 2)
