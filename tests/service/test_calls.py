"""The calls on API keys as they are on the wire, by status."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from service import ask
from support.waiting import eventually

from keyledger import KeyLedger, credentials

UNKNOWN = "ak_" + "0" * 32

Create = Callable[..., dict[str, Any]]


def code_of(answer: httpx.Response) -> str:
    """The code of the one error in an answer, every part of which Clerk's clients need."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert body["clerk_trace_id"] == answer.headers["x-request-id"]
    (error,) = body["errors"]
    assert all(isinstance(error[part], str) and error[part] for part in ("message", "long_message", "code"))
    return str(error["code"])


@pytest.mark.parametrize("path", ["/api_keys", "/v1/api_keys", "//api_keys", "/v1//api_keys", "//v1///api_keys"])
def test_200_at_each_path_with_the_very_content_type(http: httpx.Client, subject: str, path: str) -> None:
    answer = http.get(str(http.base_url).rstrip("/") + path, params={"subject": subject})
    assert (answer.status_code, answer.json()) == (200, {"data": [], "total_count": 0})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/api_keys/", "/api_keys/verify/", f"/api_keys/{UNKNOWN}/"])
def test_a_slash_at_the_end_leads_nowhere_else(http: httpx.Client, path: str) -> None:
    for below in ("", "/v1"):
        answer = http.get(below + path, headers={"Host": "elsewhere.example"})
        assert (answer.status_code, code_of(answer)) == (400, "bad_request")
        assert "location" not in answer.headers


@pytest.mark.parametrize("swapped", [False, True])
def test_400_for_two_credentials_of_which_nobody_knows_which_is_meant(
    service: Any, credential: str, swapped: bool
) -> None:
    lines = [("Authorization", f"Bearer {credential}"), ("Authorization", "Bearer sk_wrong")]
    answer = ask.get(f"{service.url}/api_keys?subject=user_1", headers=lines[::-1] if swapped else lines)
    assert (answer.status_code, code_of(answer)) == (400, "bad_request")


def test_201_for_a_new_key_and_200_for_the_old_python_client(http: httpx.Client, subject: str) -> None:
    body = {"name": "a key", "subject": subject}
    assert http.post("/api_keys", json=body).status_code == 201
    old = {"User-Agent": "speakeasy-sdk/python 4.2.0 2.815.1 2025-11-10 clerk-backend-api"}
    assert http.post("/api_keys", json=body, headers=old).status_code == 200


def test_the_object_has_exactly_clerk_s_fields(http: httpx.Client, create: Create) -> None:
    key = create()
    assert list(key) == [
        *("object", "id", "type", "subject", "name", "description", "claims", "scopes", "revoked"),
        *("revocation_reason", "expired", "expiration", "created_by", "last_used_at", "created_at", "updated_at"),
        "secret",
    ]
    del key["secret"]
    assert http.get(f"/api_keys/{key['id']}").json() == key


def test_the_last_use_shows_in_milliseconds(http: httpx.Client, create: Create, owner: KeyLedger) -> None:
    key = create()
    assert http.post("/api_keys/verify", json={"secret": key["secret"]}).json()["last_used_at"] is None
    # Flushed once a second, by the service.
    used = eventually(lambda: owner.catch_up() and http.get(f"/api_keys/{key['id']}").json()["last_used_at"])
    assert isinstance(used, int)
    assert used >= key["created_at"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=10.0&offset=0.0&type=api_key&include_invalid=false", 200),
        ("limit=1e1", 200),
        ("limit=2.5", 200),
        ("query=", 200),
        ("__clerk_api_version=2026-08-20&_clerk_session_id=sess_1&whatever=%20", 200),
        ("limit=0", 400),
        ("limit=0.5", 400),
        ("limit=101", 400),
        ("limit=ten", 400),
        ("limit=nan", 400),
        ("limit=inf", 400),
        ("limit=1_0", 400),
        ("offset=1e300", 200),
        ("offset=-1", 400),
        ("limit=1&limit=2", 400),
        ("whatever=1&whatever=2", 200),
        ("offset=1e400", 400),
        ("include_invalid=yes", 400),
        ("type=ap", 400),
        ("query=%ff", 400),
        ("query=%00", 400),
    ],
)
def test_a_list_s_parameters(http: httpx.Client, subject: str, query: str, status: int) -> None:
    answer = http.get(f"/api_keys?subject={subject}&{query}")
    assert answer.status_code == status
    if status == 400:
        assert code_of(answer) == "bad_request"


def test_400_for_a_list_of_nobody(http: httpx.Client) -> None:
    assert code_of(http.get("/api_keys")) == "bad_request"


def test_any_offset_begins_a_page(http: httpx.Client, create: Create, subject: str) -> None:
    made = [create(name=f"key {number}")["id"] for number in range(5)][::-1]
    for offset in range(6):
        page = http.get("/api_keys", params={"subject": subject, "limit": 2, "offset": offset}).json()
        assert [key["id"] for key in page["data"]] == made[offset : offset + 2]
        assert page["total_count"] == 5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"name":"a key"}',
        b'{"subject":"user_1"}',
        b'{"name":"a key","subject":"user_1","unknown":1}',
        b'{"name":"a key","name":"another","subject":"user_1"}',
        b'{"name":"a key","subject":"user_1","seconds_until_expiration":NaN}',
        b'{"name":"a key","subject":"user_1","seconds_until_expiration":1e999}',
        b'{"name":"a key","subject":"user_1","seconds_until_expiration":0}',
        b'{"name":"a key","subject":"user_1","seconds_until_expiration":"60"}',
        b'{"name":"a key","subject":"user_1","seconds_until_expiration":' + b"9" * 400 + b"}",
        b'{"name":"a key","subject":"user_1","scopes":"read"}',
        b'{"name":"a key","subject":"user_1","scopes":["read","read"]}',
        b'{"name":"a key","subject":"user_1","scopes":null}',
        b'{"name":"a key","subject":"user_1","type":"ab"}',
        b'{"name":"a key","subject":"user_1","claims":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"name":"a key","subject":"user_1","claims":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"name":"a key","subject":"user_1","claims":{"a":"' + b"x" * 9000 + b'"}}',
        b'{"name":"a \\u0000key","subject":"user_1"}',
        b'{"name":"a \\ud800key","subject":"user_1"}',
        b'{"name":"a key","subject":"user_1","claims":{"\\udfff":1}}',
        b'{"name":"a \xff key","subject":"user_1"}',
        b'\xef\xbb\xbf{"name":"a key","subject":"user_1"}',
        b'{"name":" a key","subject":"user_1"}',
        json.dumps({"name": "a key", "subject": credentials.SUBJECT}).encode(),
    ],
)
def test_400_for_a_body_that_says_nothing_clear(http: httpx.Client, body: bytes) -> None:
    assert code_of(http.post("/api_keys", content=body)) == "bad_request"


def test_an_update_is_of_three_states(http: httpx.Client, create: Create) -> None:
    key = create(description="one", claims={"a": 1}, scopes=["x"], seconds_until_expiration=60)
    path = f"/api_keys/{key['id']}"
    assert http.patch(path, json={}).json() == {name: value for name, value in key.items() if name != "secret"}
    cleared = http.patch(path, json={"description": None, "claims": None, "seconds_until_expiration": None}).json()
    assert (cleared["description"], cleared["claims"], cleared["expiration"]) == (None, None, None)
    assert cleared["scopes"] == ["x"]
    for wrong in ({"name": "new"}, {"subject": None}, {"scopes": None}, {"subject": credentials.SUBJECT}):
        assert code_of(http.patch(path, json=wrong)) == "bad_request"


def test_400_for_an_update_of_a_revoked_key(http: httpx.Client, create: Create) -> None:
    key = create()
    http.post(f"/api_keys/{key['id']}/revoke")
    assert code_of(http.patch(f"/api_keys/{key['id']}", json={"description": "x"})) == "bad_request"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"revocation_reason":null}', b'{"revocation_reason":"leaked"}'])
def test_200_for_a_revocation_with_or_without_a_body(http: httpx.Client, create: Create, body: bytes) -> None:
    answer = http.post(f"/api_keys/{create()['id']}/revoke", content=body)
    assert (answer.status_code, answer.json()["revoked"]) == (200, True)


@pytest.mark.parametrize(
    "path", ["/api_keys/nothing", "/api_keys/ak_1", "/api_keys/a/b", "/api_keys/a%2Fb/secret"]
)
def test_400_for_what_cannot_be_an_id(http: httpx.Client, path: str) -> None:
    assert code_of(http.get(path)) == "bad_request"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api_keys/{UNKNOWN}"),
        ("GET", f"/api_keys/{UNKNOWN}/secret"),
        ("PATCH", f"/api_keys/{UNKNOWN}"),
        ("DELETE", f"/api_keys/{UNKNOWN}"),
        ("POST", f"/api_keys/{UNKNOWN}/revoke"),
        ("GET", "/api_keys/api_key_" + "0" * 32),
    ],
)
def test_404_for_an_unknown_id(http: httpx.Client, method: str, path: str) -> None:
    body = b"{}" if method in ("PATCH", "POST") else b""
    answer = http.request(method, path, content=body)
    assert (answer.status_code, code_of(answer)) == (404, "api_key_not_found")


def test_405_for_another_method_names_all_that_the_path_has(http: httpx.Client) -> None:
    answer = http.put("/api_keys")
    assert (answer.status_code, code_of(answer)) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_400_for_a_verification_of_no_text(http: httpx.Client) -> None:
    for body in ({}, {"secret": None}, {"secret": 1}, {"secret": "ak_x", "more": 1}):
        assert code_of(http.post("/api_keys/verify", json=body)) == "bad_request"


def test_a_wrong_secret_of_a_key_is_as_unknown_as_any(http: httpx.Client, create: Create) -> None:
    from keyledger.domain import secret
    from keyledger.domain.ids import parse_key_id

    forged = secret.generate(parse_key_id(create()["id"]))
    answer = http.post("/api_keys/verify", json={"secret": forged})
    assert (answer.status_code, code_of(answer)) == (404, "api_key_not_found")


def test_an_idempotency_key_makes_one_key(http: httpx.Client, subject: str) -> None:
    body, headers = {"name": "a key", "subject": subject}, {"Idempotency-Key": f"retry-{subject}"}
    first, second = (http.post("/api_keys", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == {name: value for name, value in first.json().items() if name != "secret"}
    assert http.get("/api_keys", params={"subject": subject}).json()["total_count"] == 1


def test_409_for_an_idempotency_key_with_another_body(http: httpx.Client, subject: str) -> None:
    headers = {"Idempotency-Key": f"other-{subject}"}
    http.post("/api_keys", json={"name": "a key", "subject": subject}, headers=headers)
    answer = http.post("/api_keys", json={"name": "another", "subject": subject}, headers=headers)
    assert (answer.status_code, code_of(answer)) == (409, "idempotency_conflict")


def test_what_a_service_does_is_on_record_with_its_credential(
    http: httpx.Client, create: Create, owner: KeyLedger, credential: str
) -> None:
    key = create()
    path = f"/api_keys/{key['id']}"
    http.patch(path, json={"description": "x"}, headers={"X-Request-Id": "req_update"})
    http.post(f"{path}/revoke", headers={"X-Request-Id": "req_revoke"})
    http.delete(path, headers={"X-Request-Id": "req_delete"})

    (used_by,) = {
        key.id
        for key in owner.api_keys.get_all(subject=credentials.SUBJECT, page_size=100).data
        if set(key.scopes) == set(credentials.SCOPES)
    }
    entries = owner.audit.history(api_key_id=key["id"], descending=False, fresh=True).entries
    assert [entry.event_type for entry in entries] == ["KeyCreated", "KeyUpdated", "KeyRevoked", "KeyDeleted"]
    assert {entry.actor.credential_id for entry in entries if entry.actor} == {used_by}
    assert {entry.actor.ip_address for entry in entries if entry.actor} == {"127.0.0.1"}
    assert [entry.actor.request_id for entry in entries if entry.actor][1:] == [
        "req_update",
        "req_revoke",
        "req_delete",
    ]


def test_a_verification_is_on_record_with_its_request(
    http: httpx.Client, create: Create, owner: KeyLedger
) -> None:
    key = create()
    http.post(
        "/api_keys/verify",
        json={"secret": key["secret"]},
        headers={"X-Request-Id": "req_verify", "User-Agent": "a service/1"},
    )
    # Flushed once a second, by the service.
    entries = eventually(
        lambda: owner.audit.history(api_key_id=key["id"], event_types=["KeyUsed"], fresh=True).entries
    )
    assert entries[0].details == {
        "ip_address": "127.0.0.1",
        "user_agent": "a service/1",
        "method": "POST",
        "path": "/api_keys/verify",
        "request_id": "req_verify",
        "outcome": "valid",
    }


def test_it_is_alive_and_ready_without_a_credential(service: Any) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = ask.get(service.url + path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
