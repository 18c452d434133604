"""Clerk's clients for services, unmodified, at `keyledger serve`: every method, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from service.client import Client, Refused

from keyledger import KeyLedger

pytestmark = pytest.mark.xdist_group("clients")

JS, PYTHON = "@clerk/backend", "clerk-backend-api"

UNKNOWN = "ak_" + "0" * 32


class Methods:
    """The methods of one of the clients, with arguments and answers in one form: that of the wire."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._is_js = client.name == "clerk_backend"

    def create(self, **fields: Any) -> dict[str, Any]:
        return self._key("create", fields)

    def list(self, **query: Any) -> dict[str, Any]:
        if not self._is_js and "include_invalid" in query:
            query["include_invalid"] = str(query["include_invalid"]).lower()
        found = self._client("list", self._named(query))
        count = found["totalCount"] if self._is_js else found["total_count"]
        return {"data": [self._wire(key) for key in found["data"]], "total_count": count}

    def get(self, api_key_id: str) -> dict[str, Any]:
        return self._key("get", api_key_id)

    def update(self, api_key_id: str, **changes: Any) -> dict[str, Any]:
        return self._key("update", {"api_key_id": api_key_id, **changes})

    def delete(self, api_key_id: str) -> Any:
        return self._client("delete", self._argument(api_key_id))

    def secret(self, api_key_id: str) -> Any:
        return self._client("getSecret", self._argument(api_key_id))

    def revoke(self, api_key_id: str, **fields: Any) -> dict[str, Any]:
        return self._key("revoke", {"api_key_id": api_key_id, **fields})

    def verify(self, secret: str) -> dict[str, Any]:
        return self._key("verify", secret if self._is_js else {"secret": secret})

    def _key(self, method: str, argument: Any) -> dict[str, Any]:
        return self._wire(self._client(method, self._argument(argument)))

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, dict):
            return self._named(argument)
        return argument if self._is_js else {"api_key_id": argument}

    def _named(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {_camel(name): value for name, value in fields.items()} if self._is_js else fields

    def _wire(self, key: dict[str, Any]) -> dict[str, Any]:
        return {_snake(name): value for name, value in key.items()} if self._is_js else key


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@pytest.fixture(params=[JS, PYTHON])
def sdk(request: pytest.FixtureRequest) -> Methods:
    return Methods(request.getfixturevalue("backend_js" if request.param == JS else "backend_python"))


def test_a_key_is_created_with_every_field_and_its_secret(sdk: Methods, subject: str) -> None:
    claims = {"plan": "free", "camelCase": {"snake_case": [1, 2.5, None, "é"]}}
    key = sdk.create(
        name="CI deploys",
        subject=subject,
        description="for the builds",
        claims=claims,
        scopes=["read", "write"],
        created_by=subject,
        seconds_until_expiration=3600,
    )
    assert key["secret"].startswith("ak_")
    assert (key["type"], key["name"], key["subject"], key["created_by"]) == (
        "api_key",
        "CI deploys",
        subject,
        subject,
    )
    assert (key["description"], key["claims"], key["scopes"]) == ("for the builds", claims, ["read", "write"])
    assert (key["revoked"], key["expired"], key["revocation_reason"], key["last_used_at"]) == (
        False,
        False,
        None,
        None,
    )
    assert key["expiration"] - key["created_at"] == 3_600_000
    assert key["updated_at"] == key["created_at"] > 1_600_000_000_000


def test_a_list_has_pages_newest_first_with_the_number_of_all(sdk: Methods, subject: str) -> None:
    made = [sdk.create(name=f"key {number}", subject=subject)["id"] for number in range(3)]
    page = sdk.list(subject=subject, limit=2, offset=1)
    assert [key["id"] for key in page["data"]] == [made[1], made[0]]
    assert page["total_count"] == 3
    assert all(key.get("secret") is None for key in page["data"])


def test_a_list_leaves_out_what_is_revoked_unless_it_is_asked_for(sdk: Methods, subject: str) -> None:
    key = sdk.create(name="a key", subject=subject)
    sdk.revoke(key["id"])
    assert sdk.list(subject=subject)["data"] == []
    assert [each["id"] for each in sdk.list(subject=subject, include_invalid=True)["data"]] == [key["id"]]


def test_a_list_finds_names(sdk: Methods, subject: str) -> None:
    sdk.create(name="Production", subject=subject)
    staging = sdk.create(name="Staging", subject=subject)
    assert [key["id"] for key in sdk.list(subject=subject, query="stag")["data"]] == [staging["id"]]


def test_a_key_is_read_by_its_id_without_its_secret(sdk: Methods, subject: str) -> None:
    key = sdk.create(name="a key", subject=subject)
    found = sdk.get(key["id"])
    assert found.get("secret") is None
    assert {**found, "secret": key["secret"]} == key


def test_an_update_changes_what_is_given_and_null_clears(sdk: Methods, subject: str, new_subject: Any) -> None:
    organization = new_subject("org")
    key = sdk.create(
        name="a key",
        subject=subject,
        description="one",
        claims={"a": 1},
        scopes=["x"],
        seconds_until_expiration=60,
    )
    moved = sdk.update(key["id"], subject=organization, scopes=["y"])
    assert (moved["subject"], moved["scopes"]) == (organization, ["y"])
    assert (moved["description"], moved["claims"], moved["expiration"]) == ("one", {"a": 1}, key["expiration"])
    cleared = sdk.update(
        key["id"], subject=organization, description=None, claims=None, seconds_until_expiration=None
    )
    assert (cleared["description"], cleared["claims"], cleared["expiration"]) == (None, None, None)
    assert cleared["updated_at"] >= moved["updated_at"] >= key["updated_at"]


def test_a_revocation_holds_and_a_second_one_keeps_the_first_reason(sdk: Methods, subject: str) -> None:
    key = sdk.create(name="a key", subject=subject)
    assert sdk.revoke(key["id"], revocation_reason="leaked")["revoked"] is True
    again = sdk.revoke(key["id"], revocation_reason="another")
    assert (again["revoked"], again["revocation_reason"]) == (True, "leaked")
    with pytest.raises(Refused) as refused:
        sdk.verify(key["secret"])
    assert (refused.value.status, refused.value.code) == (404, "api_key_revoked")


def test_a_revocation_needs_no_reason(sdk: Methods, subject: str) -> None:
    assert sdk.revoke(sdk.create(name="a key", subject=subject)["id"])["revocation_reason"] is None


def test_a_deleted_key_is_gone(sdk: Methods, subject: str) -> None:
    key = sdk.create(name="a key", subject=subject)
    deleted = sdk.delete(key["id"])
    assert (deleted["id"], deleted["deleted"]) == (key["id"], True)
    for call in (lambda: sdk.get(key["id"]), lambda: sdk.delete(key["id"]), lambda: sdk.verify(key["secret"])):
        with pytest.raises(Refused) as refused:
            call()
        assert (refused.value.status, refused.value.code) == (404, "api_key_not_found")
    assert sdk.list(subject=subject, include_invalid=True)["total_count"] == 0


def test_a_secret_is_not_recoverable(sdk: Methods, subject: str) -> None:
    key = sdk.create(name="a key", subject=subject)
    with pytest.raises(Refused) as refused:
        sdk.secret(key["id"])
    assert (refused.value.status, refused.value.code) == (404, "secret_not_recoverable")


def test_a_secret_is_verified(sdk: Methods, subject: str) -> None:
    key = sdk.create(name="a key", subject=subject, scopes=["read"], claims={"plan": "free"})
    found = sdk.verify(key["secret"])
    assert (found["id"], found["subject"], found["scopes"]) == (key["id"], subject, ["read"])
    assert found["claims"] == {"plan": "free"}
    assert found.get("secret") is None


@pytest.mark.parametrize(
    ("secret", "code"),
    [("ak_nothing", "api_key_malformed"), ("hello", "api_key_malformed"), ("", "api_key_malformed")],
)
def test_what_is_no_secret_is_refused_with_404(sdk: Methods, secret: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        sdk.verify(secret)
    assert (refused.value.status, refused.value.code) == (404, code)


def test_an_expired_key_is_refused_with_404(sdk: Methods, owner: KeyLedger, subject: str) -> None:
    key = sdk.create(name="a key", subject=subject, seconds_until_expiration=0.001)
    with pytest.raises(Refused) as refused:
        sdk.verify(key["secret"])
    assert (refused.value.status, refused.value.code) == (404, "api_key_expired")


def test_an_unknown_id_is_a_typed_error_with_a_code(sdk: Methods) -> None:
    for call in (sdk.get, sdk.delete, sdk.secret, sdk.revoke):
        with pytest.raises(Refused) as refused:
            call(UNKNOWN)
        assert (refused.value.status, refused.value.code) == (404, "api_key_not_found")
        assert refused.value.about.get("clerkTraceId") or refused.value.about.get("clerk_trace_id")


def test_a_name_that_is_too_short_is_a_typed_error_that_says_what_is_allowed(sdk: Methods, subject: str) -> None:
    with pytest.raises(Refused) as refused:
        sdk.create(name="x", subject=subject)
    assert (refused.value.status, refused.value.code) == (400, "bad_request")
    error = refused.value.about["errors"][0]
    said = error.get("longMessage") or error.get("long_message")
    assert "3 to 255 characters" in said
    assert error["meta"].get("param_name") or error["meta"].get("paramName")


@pytest.mark.parametrize("name", ["clerk_backend", "clerk_python"])
def test_a_wrong_credential_is_401(
    new_client: Callable[..., Client], service: Any, name: str, subject: str
) -> None:
    sdk = Methods(new_client(name, url=service.url, secret="sk_test_wrong"))
    with pytest.raises(Refused) as refused:
        sdk.list(subject=subject)
    assert refused.value.status == 401


def test_authenticate_request_signs_in_whose_key_it_is(
    backend_js: Client, new_subject: Callable[..., str]
) -> None:
    user, organization = new_subject("user"), new_subject("org")
    mine = backend_js("create", {"name": "mine", "subject": user, "scopes": ["read"], "claims": {"a": 1}})
    ours = backend_js("create", {"name": "ours", "subject": organization})
    state = backend_js("authenticate", mine["secret"])
    assert state["status"] == "signed-in"
    auth = state["auth"]
    assert (auth["isAuthenticated"], auth["tokenType"], auth["userId"]) == (True, "api_key", user)
    assert (auth["id"], auth["scopes"], auth["claims"]) == (mine["id"], ["read"], {"a": 1})
    assert backend_js("authenticate", ours["secret"])["auth"]["orgId"] == organization


def test_authenticate_request_refuses_what_is_revoked_deleted_or_none(backend_js: Client, subject: str) -> None:
    revoked, deleted = (backend_js("create", {"name": "a key", "subject": subject}) for _ in range(2))
    backend_js("revoke", {"apiKeyId": revoked["id"]})
    backend_js("delete", deleted["id"])
    for secret in (revoked["secret"], deleted["secret"], "ak_invalid_key"):
        state = backend_js("authenticate", secret)
        assert (state["status"], state["reason"]) == ("signed-out", "token-invalid")
    assert backend_js("authenticate", "mt_another_kind")["status"] == "signed-out"


def test_authenticate_request_says_that_the_credential_is_wrong(
    new_client: Callable[..., Client], service: Any, backend_js: Client, subject: str
) -> None:
    key = backend_js("create", {"name": "a key", "subject": subject})
    state = new_client("clerk_backend", url=service.url, secret="sk_test_wrong")("authenticate", key["secret"])
    assert (state["status"], state["reason"]) == ("signed-out", "secret-key-invalid")


def test_verify_token_of_python_takes_a_good_secret_and_no_other(backend_python: Client, subject: str) -> None:
    key = backend_python("create", {"name": "a key", "subject": subject})
    assert backend_python("verify_token", {"token": key["secret"]})["id"] == key["id"]
    backend_python("revoke", {"api_key_id": key["id"]})
    with pytest.raises(Refused) as refused:
        backend_python("verify_token", {"token": key["secret"]})
    assert refused.value.about["reason"] == "TOKEN_INVALID"


def test_a_key_of_another_type_is_kept_and_listed_as_that_type(backend_python: Client, subject: str) -> None:
    usual = backend_python("create", {"name": "usual", "subject": subject})
    other = backend_python("create", {"name": "other", "subject": subject, "type_": "machine"})
    assert other["type"] == "machine"
    for kind, key in (("api_key", usual), ("machine", other)):
        found = backend_python("list", {"subject": subject, "type_": kind})
        assert ([each["id"] for each in found["data"]], found["total_count"]) == ([key["id"]], 1)
