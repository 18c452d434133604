"""Service credentials: what they allow, and what they are."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from service import ask

from keyledger import InvalidArgument, KeyLedger, credentials
from keyledger.domain.secret import as_credential, of_credential

Create = Callable[..., dict[str, Any]]


def answered(service: Any, secret: str, method: str, path: str, **more: Any) -> httpx.Response:
    return ask.request(
        method, service.url + path, headers={"Authorization": f"Bearer {secret}"}, timeout=30, **more
    )


CALLS = [
    ("keys:read", "GET", "/api_keys?subject=user_1", None),
    ("keys:read", "GET", "/api_keys/ak_" + "0" * 32, None),
    ("keys:read", "GET", f"/api_keys/ak_{'0' * 32}/secret", None),
    ("keys:write", "POST", "/api_keys", {"name": "a key", "subject": "user_1"}),
    ("keys:write", "PATCH", "/api_keys/ak_" + "0" * 32, {}),
    ("keys:write", "DELETE", "/api_keys/ak_" + "0" * 32, None),
    ("keys:write", "POST", f"/api_keys/ak_{'0' * 32}/revoke", {}),
    ("keys:verify", "POST", "/api_keys/verify", {"secret": "ak_x"}),
]


@pytest.mark.parametrize(("scope", "method", "path", "body"), CALLS)
def test_each_call_needs_its_scope(
    service: Any, new_credential: Callable[..., str], scope: str, method: str, path: str, body: Any
) -> None:
    others = [each for each in credentials.SCOPES if each != scope]
    refused = answered(service, new_credential(*others), method, path, json=body)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "insufficient_scope")
    assert f'scope="{scope}"' in refused.headers["www-authenticate"]
    assert answered(service, new_credential(scope), method, path, json=body).status_code not in (401, 403)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Basic c2s6", "Bearer sk_", "Bearer sk_test_1", "Bearer ak_x", "sk_test_1"],
)
def test_401_without_a_credential_and_with_a_wrong_one(service: Any, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (
        ("GET", "/api_keys?subject=user_1"),
        ("POST", "/api_keys"),
        ("POST", "/v1/api_keys/verify"),
    ):
        answer = ask.request(method, service.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_ordinary_key_is_no_credential_however_it_is_written(
    service: Any, create: Create, owner: KeyLedger, subject: str
) -> None:
    ordinary = create(scopes=["keys:read"])["secret"]
    typed = create(type="secret_key", scopes=["keys:read"])["secret"]  # the type is anybody's to choose
    for secret in (ordinary, as_credential(ordinary), as_credential(typed)):
        assert answered(service, secret, "GET", f"/api_keys?subject={subject}").status_code == 401


def test_a_credential_is_hidden_from_every_call(service: Any, http: httpx.Client, owner: KeyLedger) -> None:
    key, secret = credentials.create(owner.api_keys, name="another service", scopes=["keys:read"])
    for method, path in (
        ("GET", f"/api_keys/{key.id}"),
        ("GET", f"/api_keys/{key.id}/secret"),
        ("PATCH", f"/api_keys/{key.id}"),
        ("DELETE", f"/api_keys/{key.id}"),
        ("POST", f"/api_keys/{key.id}/revoke"),
    ):
        answer = http.request(method, path, json={"scopes": ["keys:write"]} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "api_key_not_found")
    assert http.get("/api_keys", params={"subject": credentials.SUBJECT}).status_code == 400
    verified = http.post("/api_keys/verify", json={"secret": of_credential(secret)})
    assert (verified.status_code, verified.json()["errors"][0]["code"]) == (404, "api_key_not_found")
    assert owner.api_keys.get(key.id).scopes == ("keys:read",)


def test_a_revoked_credential_is_401_at_once(service: Any, owner: KeyLedger) -> None:
    key, secret = credentials.create(owner.api_keys, name="a leaked one", scopes=["keys:read"])
    assert answered(service, secret, "GET", "/api_keys?subject=user_1").status_code == 200
    owner.api_keys.revoke(key.id, barrier=True)
    assert answered(service, secret, "GET", "/api_keys?subject=user_1").status_code == 401


def test_a_credential_has_known_scopes(owner: KeyLedger) -> None:
    for scopes in ([], ["keys:everything"], ["*"], ["keys:*"]):
        with pytest.raises(InvalidArgument, match="one or more of keys:read, keys:write, keys:verify, audit:read"):
            credentials.create(owner.api_keys, name="a service", scopes=scopes)
