"""The audit history: who did what with which key, filter by filter."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from keyledger import (
    Actor,
    APIKey,
    HistoryEntry,
    InvalidArgument,
    KeyLedger,
    LedgerUnavailable,
    MalformedKeyId,
    Use,
)
from keyledger.domain.events import KeyUsed
from keyledger.domain.secret import as_credential

Create = Callable[..., APIKey]

ADA = Actor(user_id="user_ada", organization_id="org_1", ip_address="198.51.100.1", request_id="req_ada")
CREDENTIAL, OTHER = "ak_01a208f6d6287113baedf4f2bbe2bd48", "ak_01a208f6d6287113baedf4f2bbe2bd49"
BOB = Actor(user_id="user_bob", organization_id="org_1", ip_address="198.51.100.2", request_id="req_bob")


@pytest.fixture
def lives(ledger: KeyLedger) -> list[APIKey]:
    """Three keys: Ada's for org_1, used and revoked by Bob; Bob's, handed over to user_2; and one by nobody."""
    ada, bob = ledger.on_behalf_of(ADA).api_keys, ledger.on_behalf_of(BOB).api_keys
    keys = [ada.create(name="one"), bob.create(name="two", subject="user_1")]
    keys.append(ledger.api_keys.create(name="three", subject="user_1"))
    for number in range(3):
        ledger.verify(keys[0].secret, use=Use(path=f"/{number}"))
    ledger.audit.history(fresh=True)
    bob.revoke(keys[0].id, revocation_reason="leaked")
    ledger.verify(keys[0].secret, use=Use(path="/refused"))
    bob.update(keys[1].id, subject="user_2", scopes=["a"])
    return keys


def found(ledger: KeyLedger, **filters: Any) -> tuple[HistoryEntry, ...]:
    return ledger.audit.history(fresh=True, **filters).entries


def told(entries: tuple[HistoryEntry, ...]) -> list[str]:
    return [entry.event_type.removeprefix("Key") for entry in entries]


def test_the_newest_entry_comes_first_unless_ascending(ledger: KeyLedger, lives: list[APIKey]) -> None:
    newest_first = found(ledger)

    places = [(entry.position, entry.index) for entry in newest_first]
    assert places == sorted(places, reverse=True)
    assert found(ledger, descending=False) == newest_first[::-1]
    assert len(places) == 9


def test_each_use_is_an_entry_of_its_own_told_apart_by_its_index(ledger: KeyLedger, lives: list[APIKey]) -> None:
    uses = found(ledger, api_key_id=lives[0].id, event_types=["KeyUsed"], descending=False)

    assert [(use.details["path"], use.details["outcome"]) for use in uses] == [
        ("/0", "valid"),
        ("/1", "valid"),
        ("/2", "valid"),
        ("/refused", "revoked"),
    ]
    assert [use.index for use in uses] == [0, 1, 2, 0]
    assert len({use.position for use in uses}) == 2
    assert {use.actor for use in uses} == {None}


def test_a_key_s_history_is_its_life(ledger: KeyLedger, lives: list[APIKey]) -> None:
    entries = found(ledger, api_key_id=lives[0].id, descending=False)

    assert told(entries) == ["Created", "Used", "Used", "Used", "Revoked", "Used"]
    assert {entry.api_key_id for entry in entries} == {lives[0].id}
    assert [entry.actor for entry in entries if entry.event_type != "KeyUsed"] == [ADA, BOB]
    created, revoked = entries[0], entries[4]
    assert (created.details["name"], created.details["subject"], created.index) == ("one", "org_1", 0)
    assert created.occurred_at == lives[0].created_at
    assert created.occurred_at.tzinfo == created.recorded_at.tzinfo == UTC
    assert revoked.details == {"revocation_reason": "leaked"}


def test_an_update_tells_what_it_changed_and_its_subject_is_the_one_after_it(
    ledger: KeyLedger, lives: list[APIKey]
) -> None:
    created, updated = found(ledger, api_key_id=lives[1].id, descending=False)

    assert (created.subject, updated.subject) == ("user_1", "user_2")
    assert updated.details == {"changes": {"subject": "user_2", "scopes": ["a"]}}


def test_by_subject_the_history_is_of_the_keys_while_they_were_that_subject_s(
    ledger: KeyLedger, lives: list[APIKey]
) -> None:
    entries = found(ledger, subject="user_1")

    assert [entry.api_key_id for entry in entries] == [lives[2].id, lives[1].id]
    assert told(found(ledger, subject="user_2")) == ["Updated"]
    assert len(found(ledger, subject="org_1")) == 6
    assert found(ledger, subject="user_3") == ()


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        ("user_ada", ["Created"]),
        ("org_1", []),
        (Actor(user_id="user_bob"), ["Updated", "Revoked", "Created"]),
        (Actor(organization_id="org_1"), ["Updated", "Revoked", "Created", "Created"]),
        (Actor(ip_address="198.51.100.1"), ["Created"]),
        (Actor(request_id="req_bob"), ["Updated", "Revoked", "Created"]),
        (BOB, ["Updated", "Revoked", "Created"]),
        (Actor(user_id="user_bob", request_id="req_ada"), []),
        (Actor(user_id="user_nobody"), []),
    ],
)
def test_an_actor_matches_in_every_field_that_is_set_and_a_text_is_a_user_s_id(
    ledger: KeyLedger, lives: list[APIKey], actor: Actor | str, expected: list[str]
) -> None:
    assert told(found(ledger, actor=actor)) == expected


@pytest.fixture
def billing(ledger: KeyLedger) -> list[APIKey]:
    """Two keys: one that a service created, and revoked as it went by another credential; and one by nobody."""
    service, renewed = (ledger.on_behalf_of(Actor(credential_id=each)).api_keys for each in (CREDENTIAL, OTHER))
    keys = [service.create(name="one", subject="org_1"), ledger.api_keys.create(name="two", subject="org_1")]
    ledger.verify(keys[0].secret)
    ledger.audit.history(fresh=True)
    service.update(keys[1].id, description="new")
    renewed.revoke(keys[0].id)
    return keys


def test_by_credential_the_history_is_of_what_was_done_with_it_whose_key_ever_it_was(
    ledger: KeyLedger, billing: list[APIKey]
) -> None:
    entries = found(ledger, credential_id=CREDENTIAL)

    assert [(entry.event_type, entry.api_key_id) for entry in entries] == [
        ("KeyUpdated", billing[1].id),
        ("KeyCreated", billing[0].id),
    ]
    assert {entry.actor for entry in entries} == {Actor(credential_id=CREDENTIAL)}
    assert found(ledger, credential_id=CREDENTIAL.upper().replace("AK_", "ak_")) == entries
    assert told(found(ledger, credential_id=OTHER)) == ["Revoked"]
    assert found(ledger, credential_id="ak_" + "0" * 32) == ()


def test_an_export_is_of_a_credential_too(ledger: KeyLedger, billing: list[APIKey]) -> None:
    exported = tuple(ledger.audit.export(credential_id=CREDENTIAL, fresh=True))

    assert exported == found(ledger, credential_id=CREDENTIAL, descending=False) != ()


def test_a_credential_goes_with_the_other_filters(ledger: KeyLedger, billing: list[APIKey]) -> None:
    mine = {"credential_id": CREDENTIAL}

    assert told(found(ledger, **mine, api_key_id=billing[1].id)) == ["Updated"]
    assert told(found(ledger, **mine, subject="org_1", event_types=["KeyCreated"])) == ["Created"]
    assert found(ledger, **mine, actor="user_ada") == found(ledger, **mine, event_types=["KeyUsed"]) == ()
    assert found(ledger, **mine, until=billing[0].created_at) == ()


def test_an_actor_s_credential_is_the_same_filter(ledger: KeyLedger, billing: list[APIKey]) -> None:
    actor = Actor(credential_id=CREDENTIAL)

    assert found(ledger, actor=actor) == found(ledger, credential_id=CREDENTIAL)
    assert found(ledger, actor=actor, credential_id=CREDENTIAL) == found(ledger, credential_id=CREDENTIAL)
    with pytest.raises(InvalidArgument, match="credential_id: the actor's, where that has one too, or None"):
        ledger.audit.history(actor=actor, credential_id=OTHER)


def test_a_revocation_by_whoever_held_the_secret_is_found_by_the_key_s_own_id(ledger: KeyLedger) -> None:
    key = ledger.api_keys.create(name="leaked", subject="org_1")
    ledger.api_keys.revoke(key.id, actor=Actor(user_id="keyledger:possession", credential_id=key.id))

    assert told(found(ledger, credential_id=key.id)) == ["Revoked"]


def test_event_types_leave_only_those(ledger: KeyLedger, lives: list[APIKey]) -> None:
    everything = found(ledger)
    for types in (["KeyRevoked"], ("KeyUsed", "KeyRevoked"), {"KeyCreated"}, []):
        expected = tuple(entry for entry in everything if entry.event_type in types)

        assert found(ledger, event_types=types) == found(ledger, event_types=iter(types)) == expected


def test_all_filters_must_match(ledger: KeyLedger, lives: list[APIKey]) -> None:
    bobs = {"actor": BOB, "subject": "org_1"}

    assert told(found(ledger, **bobs)) == ["Revoked"]
    assert told(found(ledger, **bobs, api_key_id=lives[0].id, event_types=["KeyRevoked"])) == ["Revoked"]
    assert found(ledger, **bobs, api_key_id=lives[1].id) == ()
    assert found(ledger, **bobs, event_types=["KeyUsed"]) == ()
    assert told(found(ledger, subject="user_1", api_key_id=lives[1].id)) == ["Created"]


def test_times_are_from_the_first_on_and_before_the_second(ledger: KeyLedger, lives: list[APIKey]) -> None:
    everything = found(ledger, descending=False)
    moments = sorted(entry.occurred_at for entry in everything)
    edges = [moments[0] - timedelta(1), *moments, moments[-1] + timedelta(microseconds=1)]

    for since, until in [(a, b) for a in [*edges, None] for b in [*edges, None] if not a or not b or a <= b]:
        expected = [
            entry
            for entry in everything
            if (since is None or since <= entry.occurred_at) and (until is None or entry.occurred_at < until)
        ]
        assert found(ledger, since=since, until=until, descending=False) == tuple(expected)


def test_a_time_in_another_zone_is_the_same_moment(ledger: KeyLedger, lives: list[APIKey]) -> None:
    moment = found(ledger)[3].occurred_at

    elsewhere = moment.astimezone(timezone(timedelta(hours=-7)))

    assert found(ledger, since=elsewhere) == found(ledger, since=moment)


def test_a_use_after_the_revocation_that_was_accepted_before_it_says_so(
    ledger: KeyLedger, create: Create, open_ledger: Callable[..., KeyLedger], settings_of_a_slow_flush: Any
) -> None:
    key, slow = create(), open_ledger(settings_of_a_slow_flush)
    assert slow.verify(key.secret).valid
    ledger.api_keys.revoke(key.id)

    use = slow.audit.history(api_key_id=key.id, fresh=True).entries[0]

    assert (use.details["outcome"], use.details["recorded_after_revocation"]) == ("valid", True)


def test_refused_attempts_beyond_those_listed_are_one_entry_with_their_number(
    ledger: KeyLedger, create: Create, open_ledger: Callable[..., KeyLedger], settings_of_a_slow_flush: Any
) -> None:
    key, slow = create(), open_ledger(settings_of_a_slow_flush)
    ledger.api_keys.revoke(key.id)
    for _ in range(15):
        slow.verify(key.secret)

    attempts = slow.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries

    assert [entry.index for entry in attempts] == list(range(10, -1, -1))
    assert attempts[0].details == {"refused_unlisted": 5}


def test_fresh_finds_what_this_ledger_and_others_committed_without_any_worker(
    open_ledger: Callable[..., KeyLedger], settings_of_a_slow_flush: Any
) -> None:
    one, other = open_ledger(settings_of_a_slow_flush), open_ledger(settings_of_a_slow_flush)
    key = one.api_keys.create(name="a key", subject="user_1")
    one.verify(key.secret)

    assert other.audit.history().entries == ()
    assert told(other.audit.history(fresh=True).entries) == ["Created"]
    assert told(one.audit.history().entries) == ["Created"]
    assert told(one.audit.history(fresh=True).entries) == ["Used", "Created"]


def test_without_fresh_the_history_follows_within_moments(
    ledger: KeyLedger, create: Create, eventually: Callable[..., Any]
) -> None:
    key = create()

    eventually(lambda: ledger.audit.history(api_key_id=key.id).entries)


def test_a_key_that_nobody_knows_has_no_history(ledger: KeyLedger, lives: list[APIKey]) -> None:
    assert found(ledger, api_key_id="ak_" + "0" * 32) == ()


def test_an_entry_is_frozen_hashable_and_names_its_fields(ledger: KeyLedger, lives: list[APIKey]) -> None:
    entries = found(ledger)

    assert len(set(entries)) == len(entries)
    assert entries[-1].as_dict()["actor"]["user_id"] == "user_ada"
    assert list(entries[0].as_dict()) == list(HistoryEntry.__struct_fields__)
    with pytest.raises(AttributeError):
        entries[0].position = 1  # type: ignore[misc]


def test_no_entry_holds_a_secret_or_a_digest(ledger: KeyLedger, create: Create) -> None:
    key = create(description="what for")
    ledger.verify(key.secret, use=Use(path=f"/?key={key.secret}", user_agent=key.secret))
    ledger.api_keys.revoke(key.id, revocation_reason=f"leaked: {key.secret}")

    text = repr(found(ledger)) + repr([entry.as_dict() for entry in found(ledger)])

    assert key.secret is not None
    assert key.secret not in text
    assert "digest" not in text
    assert text.count("ak_[redacted]") == 6


BAD: list[tuple[str, Any, str]] = [
    ("api_key_id", "ak_1", "hexadecimal"),
    ("api_key_id", 5, "hexadecimal"),
    ("credential_id", "ak_1", "'ak_' and 32 hexadecimal digits, never its secret"),
    ("credential_id", "sk_" + "0" * 32, "'ak_' and 32 hexadecimal digits, never its secret"),
    ("credential_id", "", "hexadecimal"),
    ("credential_id", 5, "hexadecimal"),
    ("subject", "", "1 to 255"),
    ("subject", 5, "1 to 255"),
    ("actor", Actor(), "a field that is set"),
    ("actor", "", "1 to 255"),
    ("actor", 5, "an Actor"),
    ("actor", {"user_id": "user_1"}, "an Actor"),
    ("event_types", "KeyUsed", "not one str"),
    ("event_types", 5, "a list of KeyCreated, KeyUpdated, KeyUsed, KeyRevoked"),
    ("event_types", ["KeyUsed", "KeyLost"], "a list of KeyCreated, KeyUpdated, KeyUsed, KeyRevoked"),
    ("event_types", [KeyUsed], "a list of"),
    ("event_types", [[]], "a list of"),
    ("since", datetime(2026, 1, 1), "time zone"),  # noqa: DTZ001
    ("since", "2026-01-01T00:00:00Z", "time zone"),
    ("since", 0, "time zone"),
    ("until", datetime(2026, 1, 1), "time zone"),  # noqa: DTZ001
    ("until", datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "years 1 to 9999"),
    ("fresh", 1, "True or False"),
]
BAD_PAGES: list[tuple[str, Any, str]] = [
    ("descending", None, "True or False"),
    ("page_size", 0, "from 1 to 1000"),
    ("page_size", 1001, "from 1 to 1000"),
    ("page_size", "10", "from 1 to 1000"),
    ("page_size", True, "from 1 to 1000"),
]


def test_a_malformed_argument_of_the_history_is_refused(ledger: KeyLedger) -> None:
    for param, value, allowed in BAD + BAD_PAGES:
        with pytest.raises(InvalidArgument) as refused:
            ledger.audit.history(**{param: value})
        assert refused.value.param == param
        assert allowed in str(refused.value)


def test_a_malformed_argument_of_an_export_is_refused_by_the_call_itself(ledger: KeyLedger) -> None:
    for param, value, allowed in BAD:
        with pytest.raises(InvalidArgument) as refused:
            ledger.audit.export(**{param: value})
        assert refused.value.param == param
        assert allowed in str(refused.value)


def test_a_span_of_time_that_ends_before_it_begins_is_refused(ledger: KeyLedger) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidArgument, match="not before `since`"):
        ledger.audit.history(since=now, until=now - timedelta(microseconds=1))
    assert ledger.audit.history(since=now, until=now).entries == ()


def test_a_malformed_id_is_an_error_of_its_own(ledger: KeyLedger) -> None:
    for param in ("api_key_id", "credential_id"):
        with pytest.raises(MalformedKeyId):
            ledger.audit.history(**{param: "ak_"})


def test_a_credential_s_secret_that_is_given_for_its_id_is_not_repeated(ledger: KeyLedger) -> None:
    secret = as_credential(str(ledger.api_keys.create(name="Billing", subject="org_1").secret))

    with pytest.raises(InvalidArgument) as refused:
        ledger.audit.history(credential_id=secret)

    assert secret not in str(refused.value) + repr(refused.value)


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_first_and_the_last_moment_there_are_may_be_asked_for(
    ledger: KeyLedger, lives: list[APIKey], moment: datetime
) -> None:
    assert len(found(ledger, since=moment)) == (9 if moment.year == 1 else 0)
    assert len(found(ledger, until=moment)) == (0 if moment.year == 1 else 9)


def test_a_history_that_another_version_keeps_is_an_error_and_not_an_empty_one(
    ledger: KeyLedger, lives: list[APIKey], inspector: psycopg.Connection[Any]
) -> None:
    inspector.execute("UPDATE keyledger.projections SET version = version + 1 WHERE name = 'history'")
    try:
        with pytest.raises(LedgerUnavailable, match="versions differ"):
            ledger.audit.history()
        with pytest.raises(LedgerUnavailable, match="versions differ"):
            ledger.audit.export()
    finally:
        inspector.execute("UPDATE keyledger.projections SET version = version - 1 WHERE name = 'history'")
