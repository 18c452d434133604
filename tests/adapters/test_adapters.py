"""Every adapter decides alike: one table of cases, run against each of them."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from adapters.conftest import Keys, secret
from adapters.contenders import CONTENDERS, Contender, Fields
from support.proxy import Proxy

from keyledger import KeyLedger, Settings

SCOPES = ("things:read",)
HEADER: dict[str, Any] = {"header": "X-API-Key"}
HEADER_ALONE: dict[str, Any] = {"header": "X-API-Key", "bearer": False}
TRUSTING: dict[str, Any] = {"trusted_proxies": ["192.0.2.0/28", "2001:db8::/32"]}


class Case(msgspec.Struct, frozen=True):
    """A request's fields, in which `{good}` is that key's secret, and what the answer must be."""

    fields: Fields
    status: int
    code: str | None = None
    challenge: str | None = None
    options: dict[str, Any] = {}
    url: str = "/things"


def invalid_token(detail: str) -> str:
    return f'Bearer realm="api", error="invalid_token", error_description="{detail}"'


NOTHING = 'Bearer realm="api"'
TWO = (
    'Bearer realm="api", error="invalid_request",'
    ' error_description="The request holds more than one credential; send one"'
)
LACKS = (
    'Bearer realm="api", error="insufficient_scope",'
    ' error_description="The API key lacks a scope that this call needs", scope="things:read"'
)
CASES = {
    "a bearer": Case([("Authorization", "Bearer {good}")], 200),
    "a scheme in any case, and white space": Case([("Authorization", "bEARER  {good}")], 200),
    "a scope by a pattern": Case([("Authorization", "Bearer {wide}")], 200),
    "the configured header": Case([("X-API-Key", "{good}")], 200, options=HEADER),
    "a bearer beside the configured header": Case([("Authorization", "Bearer {good}")], 200, options=HEADER),
    "another's Authorization": Case(
        [("Authorization", "Bearer eyJ.e30.x"), ("X-API-Key", "{good}")], 200, options=HEADER_ALONE
    ),
    "no credential": Case([], 401, "missing", NOTHING),
    "another scheme": Case([("Authorization", "Basic YTpi")], 401, "missing", NOTHING),
    "a header that is not configured": Case([("X-API-Key", "{good}")], 401, "missing", NOTHING),
    "a bearer where only the header counts": Case(
        [("Authorization", "Bearer {good}")], 401, "missing", 'APIKey realm="api"', HEADER_ALONE
    ),
    "a key in the query": Case([], 401, "missing", NOTHING, url="/things?access_token={good}&api_key={good}"),
    "garbage": Case(
        [("Authorization", "Bearer x")], 401, "malformed", invalid_token("The text is not an API key")
    ),
    "a scheme alone": Case([("Authorization", "Bearer")], 401, "missing", NOTHING),
    "no ASCII": Case(
        [("Authorization", "Bearer \xe4\xff")], 401, "malformed", invalid_token("The text is not an API key")
    ),
    "an unknown key": Case(
        [("Authorization", "Bearer {unknown}")], 401, "not_found", invalid_token("No API key has this secret")
    ),
    "a revoked key": Case(
        [("Authorization", "Bearer {revoked}")], 401, "revoked", invalid_token("The API key has been revoked")
    ),
    "an expired key": Case(
        [("Authorization", "Bearer {expired}")], 401, "expired", invalid_token("The API key has expired")
    ),
    "a missing scope": Case([("Authorization", "Bearer {narrow}")], 403, "insufficient_scope", LACKS),
    "two ways at once": Case(
        [("Authorization", "Bearer {good}"), ("X-API-Key", "{good}")], 400, "ambiguous", TWO, HEADER
    ),
    "two bearers": Case(
        [("Authorization", "Bearer {good}"), ("Authorization", "Bearer {wide}")], 400, "ambiguous", TWO
    ),
    "two headers": Case([("X-API-Key", "{good}"), ("X-API-Key", "{wide}")], 400, "ambiguous", TWO, HEADER),
}


@pytest.fixture(params=CONTENDERS.values(), ids=CONTENDERS.keys())
def contender(request: pytest.FixtureRequest) -> Contender:
    return request.param


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_answer(case: Case, contender: Contender, shared: KeyLedger, keys: Keys) -> None:
    secrets = msgspec.structs.asdict(keys)
    fields = [(name, value.format(**secrets)) for name, value in case.fields]

    with contender(shared, SCOPES, **case.options) as send:
        answer = send(case.url.format(**secrets), fields)

    assert answer.status == case.status
    assert answer.headers.get("www-authenticate") == case.challenge
    assert "retry-after" not in answer.headers
    if case.status == 200:
        assert answer.body == b"org_1"
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-length"] == str(len(answer.body))
    problem = msgspec.json.decode(answer.body)
    titles = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}
    assert problem.pop("detail")
    assert problem == {"title": titles[case.status], "status": case.status, "code": case.code}
    assert not [one for one in secrets.values() if one in repr(answer)]


@pytest.fixture(scope="module")
def cut_off(new_database: Any) -> Iterator[tuple[KeyLedger, str]]:
    """A ledger whose PostgreSQL is away, and a key that it has never seen."""
    dsn = new_database()
    proxy = Proxy(dsn)
    settings = Settings(database_timeout_seconds=0.2, cache_entries=0, background_worker=False)
    with KeyLedger.open(proxy.dsn, settings=settings) as ledger:
        key = secret(ledger, *SCOPES)
        proxy.refuse()
        yield ledger, key
        proxy.refuse(False)
    proxy.close()


def test_without_postgresql_the_answer_is_that_it_cannot_be_decided(
    contender: Contender, cut_off: tuple[KeyLedger, str]
) -> None:
    ledger, key = cut_off

    with contender(ledger, SCOPES, retry_after_seconds=7) as send:
        answer = send("/things", [("Authorization", f"Bearer {key}")])

    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "www-authenticate" not in answer.headers
    assert msgspec.json.decode(answer.body)["code"] == "unavailable"


def test_a_use_is_on_record_with_its_request(contender: Contender, shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", scopes=SCOPES)
    fields = [
        ("Authorization", f"Bearer {key.secret}"),
        ("User-Agent", "agent/1"),
        ("X-Request-ID", "req_1"),
        ("X-Forwarded-For", "203.0.113.66, 203.0.113.9"),
        ("X-Forwarded-For", "2001:db8::1"),
    ]

    with contender(shared, SCOPES, **TRUSTING) as send:
        assert send("/things?page=2", fields, method="POST").status == 200

    (used,) = shared.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries
    assert used.details == {
        "ip_address": "203.0.113.9",
        "user_agent": "agent/1",
        "method": "POST",
        "path": "/things",
        "request_id": "req_1",
        "outcome": "valid",
    }


def test_a_use_that_is_refused_for_its_scope_is_on_record_as_that(contender: Contender, shared: KeyLedger) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", scopes=["other"])

    with contender(shared, SCOPES) as send:
        assert send("/things", [("Authorization", f"Bearer {key.secret}")]).status == 403

    (used,) = shared.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries
    assert (used.details["outcome"], used.details["ip_address"]) == ("insufficient_scope", "192.0.2.1")


def test_fields_that_are_too_long_are_cut_and_those_of_strangers_not_believed(
    contender: Contender, shared: KeyLedger
) -> None:
    key = shared.api_keys.create(name="a key", subject="org_1", scopes=SCOPES)
    fields = [
        ("Authorization", f"Bearer {key.secret}"),
        ("User-Agent", "a" * 5000),
        ("X-Request-ID", "r" * 5000),
        ("X-Forwarded-For", "203.0.113.9"),
    ]

    with contender(shared, SCOPES, **TRUSTING) as send:
        assert send("/things", fields, peer="198.51.100.1").status == 200

    (used,) = shared.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries
    assert used.details["ip_address"] == "198.51.100.1"
    assert used.details["user_agent"] == "a" * 511 + "…"
    assert used.details["request_id"] == "r" * 254 + "…"
