"""The history and the past over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from keyledger import Actor, KeyLedger, credentials
from keyledger.domain.ids import key_id_text, new_uuid

Create = Callable[..., dict[str, Any]]
UNKNOWN = "ak_" + "0" * 32


def entries(http: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = http.get("/v1/audit", params={"fresh": "true", **query})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


@pytest.fixture
def changed(http: httpx.Client, create: Create) -> dict[str, Any]:
    """A key that was created, updated and revoked."""
    key = create(claims={"large": 2**70, "text": "é"})
    http.patch(f"/api_keys/{key['id']}", json={"description": "new", "seconds_until_expiration": 60})
    http.post(f"/api_keys/{key['id']}/revoke", json={"revocation_reason": "leaked"})
    return key


class TestAudit:
    def test_an_entry_has_what_python_s_has(
        self, http: httpx.Client, changed: dict[str, Any], owner: KeyLedger
    ) -> None:
        found = entries(http, api_key_id=changed["id"])
        expected = owner.audit.history(api_key_id=changed["id"], fresh=True).entries
        assert [entry["event_type"] for entry in found] == ["KeyRevoked", "KeyUpdated", "KeyCreated"]
        for entry, known in zip(found, expected, strict=True):
            assert list(entry) == list(known.as_dict())
            for field in ("position", "index", "event_id", "api_key_id", "subject"):
                assert entry[field] == getattr(known, field)
            assert datetime.fromisoformat(entry["occurred_at"]) == known.occurred_at
            assert datetime.fromisoformat(entry["recorded_at"]) == known.recorded_at
            assert Actor(**entry["actor"]) == known.actor
        assert found[0]["details"] == {"revocation_reason": "leaked"}
        assert found[2]["details"]["claims"] == {"large": 2**70, "text": "é"}

    def test_pages_go_on_by_their_cursor_in_either_order(
        self, http: httpx.Client, changed: dict[str, Any]
    ) -> None:
        for descending, end in (("true", None), ("false", str)):
            query = {"api_key_id": changed["id"], "descending": descending, "page_size": 2, "fresh": "true"}
            first = http.get("/v1/audit", params=query).json()
            second = http.get("/v1/audit", params={**query, "cursor": first["next_cursor"]}).json()
            assert [len(first["entries"]), len(second["entries"])] == [2, 1]
            assert second["next_cursor"] is None
            assert isinstance(second["end_cursor"], end or type(None))
            positions = [entry["position"] for entry in first["entries"] + second["entries"]]
            assert positions == sorted(positions, reverse=descending == "true")

    def test_each_filter_of_python_s_is_a_parameter(
        self, http: httpx.Client, owner: KeyLedger, subject: str
    ) -> None:
        credential = key_id_text(new_uuid())
        actor = Actor(
            user_id=subject,
            organization_id=f"o{subject}",
            ip_address="192.0.2.77",
            request_id=f"r{subject}",
            credential_id=credential,
        )
        key = owner.on_behalf_of(actor).api_keys.create(name="a key", subject=subject)
        other = owner.api_keys.create(name="another", subject=f"x{subject}")
        owner.api_keys.revoke(key.id)
        mine = {"api_key_id": key.id}
        for query in (
            {"subject": subject, "event_types": "KeyCreated"},
            {"actor": subject},
            {"actor_organization_id": f"o{subject}"},
            {"actor_ip_address": "192.0.2.77", "subject": subject},
            {"actor_request_id": f"r{subject}"},
            {"credential_id": credential},
            {"credential_id": credential, "actor": subject},
            {**mine, "event_types": "KeyCreated,KeyUpdated"},
            {**mine, "event_types": ["KeyCreated", "KeyDeleted"]},
            {**mine, "until": key.created_at + timedelta(microseconds=1)},
        ):
            query = {name: v.isoformat() if isinstance(v, datetime) else v for name, v in query.items()}
            assert [entry["event_type"] for entry in entries(http, **query)] == ["KeyCreated"], query
        since = (key.created_at + timedelta(microseconds=1)).isoformat()
        assert [entry["event_type"] for entry in entries(http, since=since, **mine)] == ["KeyRevoked"]
        assert entries(http, api_key_id=other.id, subject=subject) == []

    def test_all_that_was_done_with_a_credential_is_found_when_it_leaked(
        self, service: Any, http: httpx.Client, create: Create, owner: KeyLedger, subject: str
    ) -> None:
        leaked, secret = credentials.create(owner.api_keys, name="Billing", scopes=["keys:read", "keys:write"])
        untouched = create()
        with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {secret}"}) as thief:
            made = thief.post("/api_keys", json={"name": "a back door", "subject": subject}).json()
            thief.delete(f"/api_keys/{untouched['id']}")
            thief.get("/api_keys", params={"subject": subject})

        changes = entries(http, credential_id=leaked.id, descending="false")
        calls = entries(http, api_key_id=leaked.id, event_types="KeyUsed", descending="false")

        assert [(entry["event_type"], entry["api_key_id"]) for entry in changes] == [
            ("KeyCreated", made["id"]),
            ("KeyDeleted", untouched["id"]),
        ]
        assert [(call["details"]["method"], call["details"]["path"]) for call in calls] == [
            ("POST", "/api_keys"),
            ("DELETE", f"/api_keys/{untouched['id']}"),
            ("GET", "/api_keys"),
        ]
        asked = {call["details"]["request_id"] for call in calls}
        assert {entry["actor"]["request_id"] for entry in changes} < asked

    def test_a_cursor_is_good_for_one_credential(
        self, http: httpx.Client, create: Create, owner: KeyLedger
    ) -> None:
        (entry,) = entries(http, api_key_id=create()["id"])
        query = {"credential_id": entry["actor"]["credential_id"], "page_size": 1, "descending": "false"}
        cursor = http.get("/v1/audit", params=query).json()["end_cursor"]
        other = http.get("/v1/audit", params={**query, "credential_id": UNKNOWN, "cursor": cursor})
        assert http.get("/v1/audit", params={**query, "cursor": cursor}).status_code == 200
        assert (other.status_code, other.json()["code"]) == (400, "bad_request")

    @pytest.mark.parametrize(
        "query",
        [
            "page_size=0",
            "page_size=1001",
            "page_size=ten",
            "page_size=1&page_size=2",
            "api_key_id=nothing",
            "credential_id=",
            "credential_id=nothing",
            "credential_id=sk_test_1",
            "subject=",
            "actor=",
            "event_types=KeyEaten",
            "event_types=",
            "since=yesterday",
            "since=2026-01-01T00:00:00",
            "since=0001-01-01T00:00:00%2B23:59",
            "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
            "descending=1",
            "fresh=yes",
            "cursor=x",
            "subjct=user_1",
            "actor=%00",
            "actor=%ff",
        ],
    )
    def test_400_for_what_says_nothing_clear_so_that_nothing_else_is_shown(
        self, http: httpx.Client, query: str
    ) -> None:
        answer = http.get(f"/v1/audit?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


class TestReplay:
    def test_a_key_is_shown_as_it_was_at_a_position_and_at_a_time(
        self, http: httpx.Client, changed: dict[str, Any]
    ) -> None:
        revoked, updated, created = entries(http, api_key_id=changed["id"])
        path = f"/v1/replay/api_keys/{changed['id']}"
        as_created = {name: value for name, value in changed.items() if name != "secret"}
        assert http.get(path, params={"at": created["position"]}).json() == as_created
        assert http.get(path, params={"at": created["occurred_at"]}).json() == as_created
        was = http.get(path, params={"at": updated["position"]}).json()
        assert (was["description"], was["revoked"]) == ("new", False)
        now = http.get(path, params={"at": revoked["occurred_at"]}).json()
        assert now == http.get(f"/api_keys/{changed['id']}").json()

    def test_a_deleted_key_is_still_in_the_past(self, http: httpx.Client, create: Create) -> None:
        key = create()
        http.delete(f"/api_keys/{key['id']}")
        deleted, created = entries(http, api_key_id=key["id"])
        path = f"/v1/replay/api_keys/{key['id']}"
        assert http.get(path, params={"at": created["position"]}).json()["id"] == key["id"]
        answer = http.get(path, params={"at": deleted["position"]})
        assert (answer.status_code, answer.json()["code"]) == (404, "api_key_not_found")

    def test_404_where_there_was_no_key_then(self, http: httpx.Client, create: Create) -> None:
        before = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        for api_key_id, at in ((create()["id"], before), (create()["id"], "0"), (UNKNOWN, "0"), (UNKNOWN, before)):
            answer = http.get(f"/v1/replay/api_keys/{api_key_id}", params={"at": at})
            assert (answer.status_code, answer.json()["code"]) == (404, "api_key_not_found")

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "at=",
            "at=now",
            "at=-1",
            "at=1.5",
            "at=2999-01-01T00:00:00Z",
            "at=999999999999",
            "at=1&at=2",
            "at=1&x=1",
            "at=2026-01-01",
            "at=" + "9" * 5000,
        ],
    )
    def test_400_for_what_is_no_moment_of_the_past(self, http: httpx.Client, query: str) -> None:
        answer = http.get(f"/v1/replay/api_keys/{UNKNOWN}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")

    def test_400_for_what_cannot_be_an_id(self, http: httpx.Client) -> None:
        assert http.get("/v1/replay/api_keys/nothing?at=0").status_code == 400


def test_both_are_for_services_that_may_audit(
    service: Any, new_credential: Callable[..., str], browser: Any, session_token: Callable[..., str]
) -> None:
    for token in (new_credential("keys:read", "keys:write", "keys:verify"), session_token("user_1")):
        for path in ("/v1/audit", f"/v1/replay/api_keys/{UNKNOWN}?at=0"):
            assert browser(token).get(path).status_code == 403
