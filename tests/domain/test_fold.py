"""fold(events) = state, for any history that commands can make."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec import UNSET
from support.streams import at, created, given, stream

from keyledger.domain.api_key import APIKey, project
from keyledger.domain.errors import KeyRevokedError
from keyledger.domain.events import Changes, Event, KeyRevoked
from keyledger.domain.ids import new_uuid
from keyledger.infrastructure.codec import EventCodec
from keyledger.projections import control

texts = st.text(max_size=5)
changes = st.builds(
    Changes,
    description=texts | st.none() | st.just(UNSET),
    claims=st.sampled_from(["1", "null", '"x"']) | st.none() | st.just(UNSET),
    scopes=st.lists(texts, unique=True, max_size=2).map(tuple) | st.just(UNSET),
    subject=texts | st.just(UNSET),
    expiration=st.integers(0, 99).map(at) | st.none() | st.just(UNSET),
)
commands = st.lists(
    st.tuples(st.just("update"), changes) | st.tuples(st.just("revoke"), texts | st.none()), max_size=12
)


def run(commands: Sequence[tuple[str, Any]]) -> tuple[list[Event], dict[str, Any]]:
    """The events of the commands, and by a model of its own, with no fold in it, what the key must then be."""
    events: list[Event] = [created()]
    model: dict[str, Any] = {"description": "what for", "claims": '{"plan":"free"}', "scopes": ("read", "write")}
    model |= {"subject": "org_1", "expiration": at(3600), "updated_at": at(0), "version": 1}
    model |= {"revoked_at": None, "revocation_reason": None}
    for second, (command, argument) in enumerate(commands, start=1):
        event = decide(given(*events), command, argument, at(second))
        told = told_by(model, command, argument, at(second))
        assert (event is None) == (not told)
        if event is not None:
            events.append(event)
            model |= told | {"updated_at": at(second), "version": len(events)}
    return events, model


def decide(key: APIKey, command: str, argument: Any, now: datetime) -> Event | None:
    if command == "revoke":  # of a key that is revoked already the store records nothing
        return (
            None
            if key.revoked_at
            else KeyRevoked(id=new_uuid(), occurred_at=now, actor=None, revocation_reason=argument)
        )
    try:
        return key.update(argument, event_id=new_uuid(), now=now, actor=None)
    except KeyRevokedError:
        return None


def told_by(model: dict[str, Any], command: str, argument: Any, now: datetime) -> dict[str, Any]:
    if model["revoked_at"] is not None:
        return {}
    if command == "revoke":
        return {"revoked_at": now, "revocation_reason": argument}
    fields = {field: getattr(argument, field) for field in Changes.__struct_fields__}
    return {field: value for field, value in fields.items() if value is not UNSET and value != model[field]}


@forall(commands)
def test_the_fold_of_the_events_is_what_the_commands_made(commands: list[tuple[str, Any]]) -> None:
    events, model = run(commands)
    key = given(*events)
    assert {field: getattr(key, field) for field in model} == model


@forall(commands, st.integers(0, 12))
def test_a_fold_may_be_taken_up_at_any_event(commands: list[tuple[str, Any]], cut: int) -> None:
    events = stream(*run(commands)[0])
    assert project(project(None, events[:cut]), events[cut:]) == project(None, events)


@forall(commands)
def test_events_that_were_stored_and_read_fold_to_the_same_row(commands: list[tuple[str, Any]]) -> None:
    codec = EventCodec()
    events = run(commands)[0]
    read = [codec.decode(event.topic, codec.encode(event)) for event in events]
    assert control.row(given(*read)) == control.row(given(*events))
