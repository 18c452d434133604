"""OAuth's calls: introspection (RFC 7662), and revocation by whoever holds a secret (RFC 7009)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from service import ask, inside
from support.waiting import eventually

from keyledger import KeyLedger, credentials
from keyledger.domain import secret as secrets
from keyledger.domain.ids import new_uuid, parse_key_id
from keyledger.domain.secret import as_credential, of_credential
from keyledger.http import HttpSettings

Create = Callable[..., dict[str, Any]]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def introspect(http: httpx.Client, token: str, **more: str) -> Any:
    answer = http.post("/oauth2/introspect", data={"token": token, **more})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


@pytest.fixture
def nobody(service: Any) -> Callable[..., httpx.Response]:
    """Revokes with no credential."""
    return lambda token, **more: ask.post(f"{service.url}/oauth2/revoke", data={"token": token, **more})


def error_of(answer: httpx.Response) -> str:
    found = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert sorted(found) == ["error", "error_description"]
    return str(found["error"])


class TestIntrospection:
    def test_an_accepted_secret_is_active_with_what_is_known(self, http: httpx.Client, create: Create) -> None:
        key = create(scopes=["repo:read", "repo:*"], seconds_until_expiration=60)
        assert introspect(http, key["secret"]) == {
            "active": True,
            "scope": "repo:read repo:*",
            "scopes": ["repo:read", "repo:*"],
            "client_id": key["id"],
            "sub": key["subject"],
            "jti": key["id"],
            "token_type": "Bearer",
            "iat": key["created_at"] // 1000,
            "exp": key["expiration"] // 1000,
        }

    def test_a_key_that_never_expires_has_no_exp(self, http: httpx.Client, create: Create) -> None:
        found = introspect(http, create()["secret"], token_type_hint="access_token")
        assert found["active"] is True
        assert "exp" not in found
        assert found["scope"] == ""

    def test_a_scope_that_oauth_cannot_name_is_not_taken_for_two(self, http: httpx.Client, create: Create) -> None:
        found = introspect(http, create(scopes=["read", "not admin", 'a"b', "é"])["secret"])
        assert found["scope"] == "read"
        assert found["scopes"] == ["read", "not admin", 'a"b', "é"]

    def test_every_refused_secret_is_inactive_and_nothing_says_why(
        self, http: httpx.Client, create: Create, owner: KeyLedger
    ) -> None:
        revoked, deleted, forged, expired = create(), create(), create(), create(seconds_until_expiration=0.001)
        http.post(f"/api_keys/{revoked['id']}/revoke")
        http.delete(f"/api_keys/{deleted['id']}")
        _, credential = credentials.create(owner.api_keys, name="another service", scopes=["keys:read"])
        eventually(lambda: http.get(f"/api_keys/{expired['id']}").json()["expired"])
        for token in (
            revoked["secret"],
            deleted["secret"],
            expired["secret"],
            secrets.generate(parse_key_id(forged["id"])),
            secrets.generate(new_uuid()),
            credential,
            of_credential(credential),
            "ak_x",
            "eyJhbGciOiJub25lIn0.e30.",
            " ",
        ):
            answer = http.post("/oauth2/introspect", data={"token": token})
            assert (answer.status_code, answer.content) == (200, b'{"active":false}')

    def test_it_is_a_use_of_the_key(self, http: httpx.Client, create: Create, owner: KeyLedger) -> None:
        key = create()
        http.post("/oauth2/introspect", data={"token": key["secret"]}, headers={"X-Request-Id": "req_introspect"})
        (entry,) = eventually(
            lambda: owner.audit.history(api_key_id=key["id"], event_types=["KeyUsed"], fresh=True).entries
        )
        assert (entry.details["path"], entry.details["request_id"]) == ("/oauth2/introspect", "req_introspect")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"token=",
            b"token",
            b"token_type_hint=access_token",
            b"token=a&token=b",
            b"token=%ff",
            b"token=\xff",
        ],
    )
    def test_400_for_a_form_without_one_token(self, http: httpx.Client, body: bytes) -> None:
        answer = http.post("/oauth2/introspect", content=body, headers=FORM)
        assert (answer.status_code, error_of(answer)) == (400, "invalid_request")

    def test_400_for_what_is_no_form(self, http: httpx.Client) -> None:
        answer = http.post("/oauth2/introspect", json={"token": "x"})
        assert (answer.status_code, error_of(answer)) == (400, "invalid_request")

    def test_who_asks_must_be_a_service_that_may_verify(
        self, service: Any, new_credential: Callable[..., str], session_token: Callable[..., str]
    ) -> None:
        for token, status, error in (
            (None, 401, "invalid_token"),
            ("sk_wrong", 401, "invalid_token"),
            (new_credential("keys:read", "keys:write"), 403, "insufficient_scope"),
            (session_token("user_1"), 403, "insufficient_scope"),
        ):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = ask.post(f"{service.url}/oauth2/introspect", data={"token": "x"}, headers=headers)
            assert (answer.status_code, error_of(answer)) == (status, error)

    def test_a_refusal_says_how_to_get_in(self, service: Any, create: Create) -> None:
        wanted = "send an sk_ key that `keyledger credentials create` made, or the token of a session."
        for token, said in (
            (None, "Give a credential: `Authorization: Bearer sk_...`."),
            (create()["secret"], f"The bearer token is no valid credential: {wanted}"),
        ):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = ask.post(f"{service.url}/oauth2/introspect", data={"token": "x"}, headers=headers)
            assert answer.json()["error_description"] == said

    def test_429_for_a_service_with_many_refused_secrets(self, owner: KeyLedger, credential: str) -> None:
        call = {
            "headers": {"Authorization": f"Bearer {credential}"},
            "data": {"token": secrets.generate(new_uuid())},
        }
        settings = HttpSettings(failures_per_minute=2)
        answers = inside.answered(owner, settings, *[("POST", "/oauth2/introspect", call)] * 3)
        assert [answer.status_code for answer in answers] == [200, 200, 429]


class TestRevocation:
    @pytest.mark.parametrize("hint", [{}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "unheard_of"}])
    def test_whoever_holds_the_secret_revokes_the_key(
        self, http: httpx.Client, nobody: Callable[..., httpx.Response], create: Create, hint: dict[str, str]
    ) -> None:
        key = create()
        answer = nobody(key["secret"], **hint)
        assert (answer.status_code, answer.content) == (200, b"")
        assert http.get(f"/api_keys/{key['id']}").json()["revoked"] is True
        assert introspect(http, key["secret"]) == {"active": False}
        assert nobody(key["secret"]).status_code == 200

    def test_it_is_on_record_as_possession_with_the_request_s_address(
        self, service: Any, create: Create, owner: KeyLedger
    ) -> None:
        key = create()
        ask.post(
            f"{service.url}/oauth2/revoke", data={"token": key["secret"]}, headers={"X-Request-Id": "req_scanner"}
        )
        (entry,) = owner.audit.history(actor="keyledger:possession", api_key_id=key["id"], fresh=True).entries
        assert entry.event_type == "KeyRevoked"
        assert entry.actor is not None
        assert (entry.actor.ip_address, entry.actor.request_id) == ("127.0.0.1", "req_scanner")
        assert entry.actor.credential_id == key["id"]

    def test_it_is_no_use_of_the_key(
        self, http: httpx.Client, nobody: Callable[..., httpx.Response], create: Create
    ) -> None:
        key = create(scopes=["read"])
        nobody(key["secret"])
        assert http.get(f"/api_keys/{key['id']}").json()["last_used_at"] is None

    @pytest.mark.parametrize("scope", ["*", "POST /oauth2/revoke"])
    def test_it_is_none_whatever_the_key_s_scopes_cover(self, owner: KeyLedger, scope: str) -> None:
        key = owner.api_keys.create(name="a key", subject="user_1", scopes=[scope])
        (answer,) = inside.answered(
            owner, HttpSettings(), ("POST", "/oauth2/revoke", {"data": {"token": key.secret}})
        )
        assert (answer.status_code, key.reload().revoked) == (200, True)
        (attempt,) = owner.audit.history(api_key_id=key.id, event_types=["KeyUsed"], fresh=True).entries
        assert attempt.details["outcome"] == "insufficient_scope"
        owner.catch_up()
        assert key.reload().last_used_at is None

    def test_an_expired_key_s_holder_revokes_it_too(
        self, http: httpx.Client, nobody: Callable[..., httpx.Response], create: Create
    ) -> None:
        key = create(seconds_until_expiration=0.001)
        assert nobody(key["secret"]).status_code == 200
        assert http.get(f"/api_keys/{key['id']}").json()["revoked"] is True

    @pytest.mark.parametrize("form", [str, of_credential])
    def test_a_leaked_credential_is_revoked_so_as_well(
        self,
        nobody: Callable[..., httpx.Response],
        owner: KeyLedger,
        form: Callable[[str], str],
    ) -> None:
        key, secret = credentials.create(owner.api_keys, name="a leaked one", scopes=["keys:read"])
        assert nobody(form(secret)).status_code == 200
        assert owner.api_keys.get(key.id).revoked

    def test_200_for_a_token_that_nobody_knows_and_nothing_is_revoked(
        self, http: httpx.Client, nobody: Callable[..., httpx.Response], create: Create
    ) -> None:
        key = create()
        forged = secrets.generate(parse_key_id(key["id"]))
        for token in ("x", "ak_x", key["id"], forged, as_credential(forged), secrets.generate(new_uuid())):
            assert nobody(token).status_code == 200
        assert introspect(http, key["secret"])["active"] is True

    def test_a_token_of_another_type_is_unsupported(
        self, nobody: Callable[..., httpx.Response], session_token: Callable[..., str]
    ) -> None:
        for token, hint in ((session_token("user_1"), {}), ("abc", {"token_type_hint": "refresh_token"})):
            answer = nobody(token, **hint)
            assert (answer.status_code, error_of(answer)) == (400, "unsupported_token_type")

    def test_400_for_a_form_without_a_token(self, service: Any) -> None:
        answer = ask.post(f"{service.url}/oauth2/revoke", data={"token_type_hint": "access_token"})
        assert (answer.status_code, error_of(answer)) == (400, "invalid_request")

    def test_429_for_a_source_that_guesses_while_a_holder_s_secret_still_counts(self, owner: KeyLedger) -> None:
        held = owner.api_keys.create(name="a key", subject="user_1")
        wrong = ("POST", "/oauth2/revoke", {"data": {"token": secrets.generate(new_uuid())}})
        right = ("POST", "/oauth2/revoke", {"data": {"token": held.secret}})
        answers = inside.answered(owner, HttpSettings(failures_per_minute=1), wrong, wrong, right)
        assert [answer.status_code for answer in answers] == [200, 429, 200]
        assert held.reload().revoked
