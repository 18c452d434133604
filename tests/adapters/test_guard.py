"""What a guard takes, and what it says."""

from typing import Any

import pytest
from adapters.conftest import Keys

from keyledger import APIKey, InvalidArgument, KeyLedger, Settings
from keyledger.adapters import Guard, Refusal

BAD = {
    "one text for scopes": ("scopes", {"scopes": "things:read"}),
    "scopes that are none": ("scopes", {"scopes": [""]}),
    "scopes twice": ("scopes", {"scopes": ["a", "a"]}),
    "a field's name with a space": ("header", {"header": "X API Key"}),
    "Authorization as the header": ("header", {"header": "Authorization"}),
    "no way to send a key": ("header", {"bearer": False}),
    "a request id's field that is none": ("request_id_header", {"request_id_header": "a:b"}),
    "a credential for a request id": ("request_id_header", {"request_id_header": "authorization"}),
    "a realm that breaks out": ("realm", {"realm": 'api", error="x'}),
    "a realm with a line break": ("realm", {"realm": "api\r\nX: y"}),
    "a time that is none": ("retry_after_seconds", {"retry_after_seconds": 1.5}),
    "one text for proxies": ("trusted_proxies", {"trusted_proxies": "10.0.0.0/8"}),
}


def ask(guard: Guard, *fields: tuple[bytes, bytes], **extra: Any) -> APIKey | Refusal:
    return guard.check(fields, peer="192.0.2.1", method="GET", path="/things", **extra)


@pytest.mark.parametrize(("param", "options"), BAD.values(), ids=BAD.keys())
def test_a_malformed_option_is_refused_at_once(param: str, options: dict[str, Any], shared: KeyLedger) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Guard(shared, **options)

    assert refused.value.param == param


def test_what_is_no_ledger_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="ledger: a KeyLedger, or a function that returns one"):
        Guard("postgresql://")


def test_a_ledger_may_be_opened_after_the_guard_is_made(shared: KeyLedger, keys: Keys) -> None:
    opened: list[KeyLedger] = []
    guard = Guard(lambda: opened[0])
    opened.append(shared)

    assert isinstance(ask(guard, (b"authorization", f"Bearer {keys.good}".encode())), APIKey)


def test_scopes_that_are_made_at_each_request_do_not_fill_memory(shared: KeyLedger, keys: Keys) -> None:
    guard, field = Guard(shared), (b"authorization", f"Bearer {keys.good}".encode())
    first = ask(guard, field, scopes=("repo:0",))
    assert ask(guard, field, scopes=("repo:0",)) is first

    for number in range(1, 2000):
        guard.refusals.of("insufficient_scope", (f"repo:{number}",))

    again = ask(guard, field, scopes=("repo:0",))
    assert (again == first, again is first) == (True, False)


def test_a_closed_ledger_cannot_decide(new_database: Any) -> None:
    with KeyLedger.open(new_database()) as ledger:
        guard = Guard(ledger)
        key = str(ledger.api_keys.create(name="a key", subject="org_1").secret)
        ledger.verify(key)

    refusal = ask(guard, (b"authorization", f"Bearer {key}".encode()))

    assert isinstance(refusal, Refusal)
    assert refusal.status == 503


def test_a_pepper_that_is_missing_is_named_in_the_log_and_not_to_who_calls(
    new_database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = new_database()
    with KeyLedger.open(dsn, settings=Settings(peppers={"2030": b"p" * 32})) as ledger:
        key = str(ledger.api_keys.create(name="a key", subject="org_1").secret)

    with KeyLedger.open(dsn) as ledger:
        refusal = ask(Guard(ledger), (b"authorization", f"Bearer {key}".encode()))

    assert isinstance(refusal, Refusal)
    assert (refusal.status, b"2030" in refusal.body) == (503, False)
    (logged,) = [record.getMessage() for record in caplog.records if record.name == "keyledger.adapters"]
    assert "the pepper '2030', which this process was not given" in logged


def test_the_challenge_names_the_realm_and_no_scope_that_its_grammar_has_no_room_for(
    shared: KeyLedger, keys: Keys
) -> None:
    bearer = b"authorization", f"Bearer {keys.narrow}".encode()
    for scope in ("two words", 'a"b', "a\\b", "grün", "a\r\nb"):
        refusal = ask(Guard(shared, scopes=[scope], realm="the things"), bearer)

        assert isinstance(refusal, Refusal)
        assert refusal.challenge == (
            'Bearer realm="the things", error="insufficient_scope",'
            ' error_description="The API key lacks a scope that this call needs"'
        )


def test_a_challenge_lists_all_scopes_that_a_call_needs(shared: KeyLedger, keys: Keys) -> None:
    guard = Guard(shared, scopes=["a:b"])

    refusal = ask(
        guard, (b"authorization", f"Bearer {keys.good}".encode()), scopes=guard.with_scopes(["c", "a:b"])
    )

    assert isinstance(refusal, Refusal)
    assert refusal.challenge is not None
    assert refusal.challenge.endswith('scope="a:b c"')


def test_nobody_is_told_where_a_key_goes_that_is_not_taken(shared: KeyLedger) -> None:
    ways = {
        "Authorization: Bearer KEY": {},
        "Authorization: Bearer KEY or X-API-Key: KEY": {"header": "X-API-Key"},
        "X-API-Key: KEY": {"header": "X-API-Key", "bearer": False},
    }
    for way, options in ways.items():
        refusal = ask(Guard(shared, **options))
        assert isinstance(refusal, Refusal)
        assert refusal.detail == f"This needs an API key; send it as {way}"


def test_a_secret_in_the_path_or_a_field_is_blacked_out_on_record(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1")
    fields = ((b"authorization", f"Bearer {key.secret}".encode()), (b"user-agent", f"x {key.secret}".encode()))

    Guard(shared).check(fields, peer=None, method="GET", path=f"/things/{key.secret}")

    (used,) = shared.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries
    assert used.details["path"] == "/things/ak_[redacted]"
    assert used.details["user_agent"] == "x ak_[redacted]"
    assert used.details["ip_address"] is None


def test_a_key_knows_which_scopes_it_has(shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", scopes=["repo:*", "other"])

    assert key.allows()
    assert key.allows("repo:read", "other")
    assert not key.allows("repo:read", "another")
