"""The aggregate: given events, when a command, then events."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from support.streams import KEY, T0, at, created, given, revoked, stream, updated

from keyledger.domain.actor import Actor
from keyledger.domain.api_key import evolve, project
from keyledger.domain.errors import KeyRevokedError
from keyledger.domain.events import Changes, KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use

ACTOR = Actor(user_id="user_9", request_id="r")
WHEN: dict[str, Any] = {"event_id": new_uuid(), "now": at(10), "actor": ACTOR}


def used(seconds: float) -> KeyUsed:
    return KeyUsed.of([RecordedUse(occurred_at=at(seconds), outcome="valid", use=Use())], id=new_uuid())


def test_a_created_key_has_the_fields_of_its_event() -> None:
    event = created()
    key = given(event)
    assert {field: getattr(key, field) for field in ("type", "name", "subject", "description", "claims")} == {
        field: getattr(event, field) for field in ("type", "name", "subject", "description", "claims")
    }
    assert (key.id, key.version) == (KEY, 1)
    assert key.scopes == event.scopes
    assert key.digest == event.digest
    assert key.expiration == event.expiration
    assert key.created_at == key.updated_at == T0
    assert key.created_by == "user_1"
    assert key.revoked_at is None


def test_an_update_sets_what_it_names_and_leaves_the_rest() -> None:
    key = given(created(), updated(description=None, scopes=("read",)))
    assert key == replace(given(created()), description=None, scopes=("read",), updated_at=at(1), version=2)


def test_an_update_says_only_what_differs() -> None:
    event = given(created()).update(Changes(description="new", subject="org_1", scopes=("read", "write")), **WHEN)
    assert event is not None
    assert event.changes == Changes(description="new")
    assert (event.occurred_at, event.actor) == (at(10), ACTOR)


@pytest.mark.parametrize("changes", [Changes(), Changes(description="what for", claims='{"plan":"free"}')])
def test_an_update_that_changes_nothing_is_no_event(changes: Changes) -> None:
    assert given(created()).update(changes, **WHEN) is None


def test_a_revoked_key_cannot_be_updated() -> None:
    with pytest.raises(KeyRevokedError):
        given(created(), revoked()).update(Changes(description="new"), **WHEN)


def test_a_revocation_says_when_and_why() -> None:
    key = given(created(), revoked("leaked", seconds=10))
    assert (key.revoked_at, key.revocation_reason, key.updated_at) == (at(10), "leaked", at(10))


def test_a_use_changes_nothing_that_is_decided_on() -> None:
    assert given(created(), used(1), used(2)) == given(created())


def test_a_use_that_arrives_after_the_revocation_is_taken() -> None:
    assert given(created(), revoked("leaked"), used(3)) == given(created(), revoked("leaked"))


def test_a_revocation_and_an_update_commute_but_for_the_time_of_the_last_change() -> None:
    one = given(created(), updated(seconds=1, description="new"), revoked("leaked", seconds=2))
    other = given(created(), revoked("leaked", seconds=2), updated(seconds=1, description="new"))
    assert replace(one, updated_at=T0) == replace(other, updated_at=T0)


def test_no_events_make_no_key() -> None:
    assert project(None, []) is None


def test_a_stream_that_lacks_its_beginning_makes_no_key() -> None:
    assert project(None, stream(updated(description="new"), revoked())) is None


def test_folding_one_by_one_is_folding_all() -> None:
    events = stream(created(), updated(description=None), used(1), revoked())
    key = None
    for event in events:
        key = evolve(key, event)
    assert key == project(None, events)


def test_an_update_may_leave_every_field_unset() -> None:
    assert all(getattr(Changes(), field) is UNSET for field in Changes.__struct_fields__)
