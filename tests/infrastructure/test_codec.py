"""Events as bytes: every version ever released decodes for ever, and what cannot be read stops the reader."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyledger.domain.actor import Actor
from keyledger.domain.digest import Digest
from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import (
    EVENTS,
    Changes,
    Event,
    KeyCreated,
    KeyDeleted,
    KeyRevoked,
    KeyUpdated,
    KeyUsed,
    UsesLost,
)
from keyledger.domain.use import OUTCOMES, RecordedUse, Use
from keyledger.infrastructure.codec import EventCodec

ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")
GOLDEN = Path(__file__).parent / "golden"
COMMON: dict[str, Any] = {
    "id": UUID("01a208f6-d628-7113-baed-f4f2bbe2bd48"),
    "occurred_at": datetime(2026, 11, 23, 15, 12, 4, 135971, tzinfo=UTC),
    "actor": Actor(user_id="user_1", organization_id="org_1", ip_address="203.0.113.7", request_id="req_1"),
}
USE = Use(ip_address="203.0.113.7", user_agent="curl/8", method="GET", path="/v1", request_id="req_2")
USED = KeyUsed.of(
    [
        RecordedUse(occurred_at=COMMON["occurred_at"], outcome="valid", use=USE),
        RecordedUse(occurred_at=datetime(2026, 11, 23, 15, 12, 5, tzinfo=UTC), outcome="revoked", use=Use()),
    ],
    id=COMMON["id"],
    refused_unlisted=3,
)
RELEASED: dict[str, Event] = {
    "KeyCreated.1": KeyCreated(
        **COMMON,
        type="api_key",
        name="Ключ 🔑",
        subject="org_1",
        description=None,
        claims='{"plan":"free"}',
        scopes=("read", "write"),
        created_by="user_1",
        expiration=datetime(2027, 1, 1, tzinfo=UTC),
        digest=Digest(algorithm="hmac-sha256-v1", kid="2026", value=bytes(range(32))),
    ),
    "KeyUpdated.1": KeyUpdated(**COMMON, changes=Changes(description=None, scopes=("read",))),
    "KeyRevoked.1": KeyRevoked(**COMMON, revocation_reason="leaked"),
    "KeyDeleted.1": KeyDeleted(**{**COMMON, "actor": Actor(request_id="req_1")}),
    "UsesLost.1": UsesLost(**{**COMMON, "actor": None}, count=7, cause="crash"),
    "KeyUsed.1": USED,
    "KeyUsed.2": USED,
}

LATER: dict[str, Event] = {
    f"{name}.with_credential": msgspec.structs.replace(
        event, actor=msgspec.structs.replace(event.actor, credential_id="ak_01a208f6d6287113baedf4f2bbe2bd48")
    )
    for name, event in RELEASED.items()
    if event.actor is not None
}
"""The same since an actor has a credential, which is one more field at the end."""


@pytest.mark.parametrize("name", [*RELEASED, *LATER])
def test_every_version_that_was_released_decodes_for_ever(name: str) -> None:
    state = bytes.fromhex((GOLDEN / f"{name}.hex").read_text())
    assert EventCodec().decode(name.partition(".")[0], state) == {**RELEASED, **LATER}[name]


@pytest.mark.parametrize("name", ["KeyUsed.2", "UsesLost.1", *LATER])
def test_the_newest_version_encodes_as_it_always_did(name: str) -> None:
    assert EventCodec().encode({**RELEASED, **LATER}[name]).hex() == (GOLDEN / f"{name}.hex").read_text().strip()


def test_there_is_a_golden_file_for_each_version_of_each_event() -> None:
    versions = {f"{event.topic}.{version}" for event in EVENTS for version in range(1, event.version + 1)}
    assert {file.stem for file in GOLDEN.glob("*.hex")} == versions | set(LATER)
    assert versions == set(RELEASED)


class Renamed(Event, frozen=True, kw_only=True, array_like=True):
    """An event in its third version, whose first two had other fields."""

    topic: ClassVar[str] = "Renamed"
    version: ClassVar[int] = 3

    first_name: str
    last_name: str
    title: str | None


UPCASTERS = {
    ("Renamed", 1): lambda fields: [*fields[:3], *fields[3].split(" ", 1)],
    ("Renamed", 2): lambda fields: [*fields, None],
}


@pytest.mark.parametrize(
    ("version", "fields"), [(1, ["Ada Lovelace"]), (2, ["Ada", "Lovelace"]), (3, ["Ada", "Lovelace", None])]
)
def test_upcasters_lead_each_older_version_to_the_newest(version: int, fields: list[Any]) -> None:
    codec = EventCodec([Renamed], UPCASTERS)
    state = bytes([version]) + ENCODER.encode([COMMON["id"], COMMON["occurred_at"], None, *fields])
    expected = Renamed(**{**COMMON, "actor": None}, first_name="Ada", last_name="Lovelace", title=None)
    assert codec.decode("Renamed", state) == expected


USES = st.lists(
    st.builds(
        RecordedUse,
        occurred_at=st.integers(0, 10**6).map(
            lambda moment: COMMON["occurred_at"] + timedelta(microseconds=moment)
        ),
        outcome=st.sampled_from(OUTCOMES),
        use=st.builds(Use, path=st.sampled_from(["/a", "/b", None])),
    ),
    max_size=5,
)


@given(USES, st.integers(0, 3))
def test_uses_that_were_stored_row_by_row_are_read_as_columns(uses: list[RecordedUse], unlisted: int) -> None:
    texts, rows, before = ["/a", "/b"], [], COMMON["occurred_at"]
    for each in uses:
        path = (None, *texts).index(each.use.path)
        since = (each.occurred_at - before) // timedelta(microseconds=1)
        rows.append([since, OUTCOMES.index(each.outcome), 0, 0, 0, path, 0])
        before = each.occurred_at

    event = EventCodec().decode("KeyUsed", as_version_1(texts, rows, unlisted))

    assert isinstance(event, KeyUsed)
    assert (list(event.uses), event.refused_unlisted) == (uses, unlisted)


ROW = [0] * 7
NO_ROWS: list[Any] = [
    *([[0, 0]], [ROW, ROW[1:]], [ROW, [*ROW, 0]], [["a"] * 7], [ROW, [0.5] * 7], [ROW, [False] * 7]),
    *([bytes(7)], [dict.fromkeys(range(7), 0)], 7, [7], None, "", b"", {}),
]


@pytest.mark.parametrize("rows", NO_ROWS, ids=repr)
def test_rows_that_are_none_stop_the_reader(rows: Any) -> None:
    with pytest.raises(UnreadableEvent, match="the state of a KeyUsed version 1 is damaged"):
        EventCodec().decode("KeyUsed", as_version_1([], rows, 0))


def test_rows_within_rows_without_end_stop_the_reader() -> None:
    deep = as_version_1([], 0, 0)[:-2] + b"\x91" * 5_000 + b"\0\0"
    with pytest.raises(UnreadableEvent, match="the state of a KeyUsed version 1 is damaged"):
        EventCodec().decode("KeyUsed", deep)


def test_columns_of_different_lengths_stop_the_reader() -> None:
    columns = [[0, 0, 0], [0], [0, 0], [0], [0], [0], [0]]
    with pytest.raises(UnreadableEvent, match="the state of a KeyUsed version 2 is damaged"):
        EventCodec().decode(
            "KeyUsed", b"\x02" + ENCODER.encode([COMMON["id"], COMMON["occurred_at"], None, [], columns])
        )


def as_version_1(texts: list[str], rows: Any, unlisted: int) -> bytes:
    return b"\x01" + ENCODER.encode([COMMON["id"], COMMON["occurred_at"], None, texts, rows, unlisted])


def test_an_event_with_a_gap_in_its_upcasters_is_refused_at_the_start() -> None:
    with pytest.raises(TypeError, match="Renamed has no upcaster from version \\[2\\]"):
        EventCodec([Renamed], {("Renamed", 1): lambda fields: fields})


def test_an_unknown_type_stops_the_reader() -> None:
    with pytest.raises(UnreadableEvent, match="'KeyDreamtOf'"):
        EventCodec().decode("KeyDreamtOf", b"\x01\x90")


def test_a_newer_version_stops_the_reader() -> None:
    state = b"\x02" + EventCodec().encode(RELEASED["KeyRevoked.1"])[1:]
    with pytest.raises(UnreadableEvent, match="KeyRevoked version 2 is newer than the 1"):
        EventCodec().decode("KeyRevoked", state)


@given(st.sampled_from(sorted(RELEASED)), st.data())
def test_a_state_that_is_cut_short_stops_the_reader(name: str, data: st.DataObject) -> None:
    state = EventCodec().encode(RELEASED[name])
    with pytest.raises(UnreadableEvent):
        EventCodec().decode(name.partition(".")[0], state[: data.draw(st.integers(0, len(state) - 1))])


@given(st.sampled_from([event.topic for event in EVENTS]), st.binary(max_size=40))
def test_noise_is_an_unreadable_event_and_nothing_else(topic: str, state: bytes) -> None:
    with suppress(UnreadableEvent):
        assert isinstance(EventCodec().decode(topic, state), Event)


def test_the_topics_are_fixed_names_and_no_python_paths() -> None:
    topics = [event.topic for event in EVENTS]
    assert json.dumps(topics) == '["KeyCreated", "KeyUpdated", "KeyUsed", "KeyRevoked", "UsesLost", "KeyDeleted"]'
