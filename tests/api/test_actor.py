"""Acting on behalf of somebody: who is recorded, whose keys are meant, and who is said to have created them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from keyledger import Actor, APIKey, InvalidArgument, KeyLedger
from keyledger.domain.events import Event

Unchanged = Callable[[], AbstractContextManager[None]]

ADA = Actor(user_id="user_ada", organization_id="org_1", ip_address="203.0.113.7", request_id="req_1")
BOB = Actor(user_id="user_bob")


def test_every_event_names_its_actor(ledger: KeyLedger, events: Callable[..., list[Event]]) -> None:
    acting = ledger.on_behalf_of(ADA)

    key = acting.api_keys.create(name="a key")
    acting.api_keys.update(key.id, description="changed")
    acting.api_keys.revoke(key.id)

    assert [(event.topic, event.actor) for event in events(key)] == [
        ("KeyCreated", ADA),
        ("KeyUpdated", ADA),
        ("KeyRevoked", ADA),
    ]


def test_with_nobody_acting_no_actor_is_recorded(
    ledger: KeyLedger, create: Callable[..., APIKey], events: Callable[..., list[Event]]
) -> None:
    ledger.on_behalf_of(ADA)
    key = create()
    assert [event.actor for event in events(key)] == [None]
    assert key.created_by is None


def test_an_explicit_actor_wins(ledger: KeyLedger, events: Callable[..., list[Event]]) -> None:
    acting = ledger.on_behalf_of(ADA)

    key = acting.api_keys.create(name="a key", actor=BOB)
    acting.api_keys.update(key.id, description="changed", actor=BOB)
    acting.api_keys.revoke(key.id, actor=BOB)

    assert [event.actor for event in events(key)] == [BOB, BOB, BOB]
    assert (key.subject, key.created_by) == ("user_bob", "user_bob")


@pytest.mark.parametrize(
    ("actor", "subject", "created_by"),
    [
        (ADA, "org_1", "user_ada"),
        (BOB, "user_bob", "user_bob"),
        (Actor(organization_id="org_2"), "org_2", None),
    ],
    ids=["organization and user", "user", "organization"],
)
def test_the_actor_gives_the_subject_and_the_creator(
    ledger: KeyLedger, actor: Actor, subject: str, created_by: str | None
) -> None:
    key = ledger.on_behalf_of(actor).api_keys.create(name="a key")
    assert (key.subject, key.created_by) == (subject, created_by)


def test_what_is_said_wins_over_what_the_actor_gives(ledger: KeyLedger) -> None:
    key = ledger.on_behalf_of(ADA).api_keys.create(name="a key", subject="user_3", created_by="user_4")
    assert (key.subject, key.created_by) == ("user_3", "user_4")


def test_a_list_with_no_subject_is_the_actors(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    create(subject="org_1", name="the organization's")
    create(subject="user_ada", name="her own")
    acting = ledger.on_behalf_of(ADA)

    assert [key.name for key in acting.api_keys.get_all().data] == ["the organization's"]
    assert [key.name for key in acting.api_keys.get_all(subject="user_ada").data] == ["her own"]


@pytest.mark.parametrize("actor", [None, Actor(), Actor(ip_address="203.0.113.7", request_id="req_1")], ids=repr)
def test_with_no_subject_from_anybody_a_create_is_refused(
    ledger: KeyLedger, nothing_written: Unchanged, actor: Actor | None
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument, match="required") as refused:
        ledger.api_keys.create(name="a key", actor=actor)
    assert refused.value.param == "subject"


@pytest.mark.parametrize("actor", [None, "user_1", b"user_1", 5, {"user_id": "user_1"}], ids=repr)
def test_nobody_acts_but_an_actor(ledger: KeyLedger, actor: Any) -> None:
    with pytest.raises(InvalidArgument, match="an Actor") as refused:
        ledger.on_behalf_of(actor)
    assert refused.value.param == "actor"


@pytest.mark.parametrize("actor", ["user_1", 5, {"user_id": "user_1"}], ids=repr)
def test_a_create_by_what_is_no_actor_is_refused(
    create: Callable[..., APIKey], nothing_written: Unchanged, actor: Any
) -> None:
    with nothing_written(), pytest.raises(InvalidArgument, match="an Actor or None") as refused:
        create(actor=actor)
    assert refused.value.param == "actor"


def test_verifying_on_behalf_of_somebody_is_verifying(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key, acting = create(), ledger.on_behalf_of(ADA)
    assert acting.verify(key.secret).valid
    assert acting.authenticate(key.secret).id == key.id
