"""Browsers: clerk-js, unmodified, and what a session token allows."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from service import ask
from service.client import Client, Refused

from keyledger import KeyLedger, credentials

pytestmark = pytest.mark.xdist_group("browser")

UNKNOWN = "ak_" + "0" * 32


@pytest.fixture
def ada(new_subject: Callable[[str], str]) -> str:
    return new_subject("user")


@pytest.fixture
def acme(new_subject: Callable[[str], str]) -> str:
    return new_subject("org")


@pytest.fixture
def hers(browser: Callable[[str], httpx.Client], session_token: Callable[..., str], ada: str) -> httpx.Client:
    """Ada's browser, with no active organization."""
    return browser(session_token(ada))


@pytest.fixture(scope="module")
def people() -> tuple[str, str]:
    return "user_" + "b" * 27, "org_" + "b" * 27


@pytest.fixture(scope="module")
def clerk_js(
    new_client: Callable[..., Client], service: Any, session_token: Callable[..., str], people: tuple[str, str]
) -> Client:
    """`@clerk/clerk-js` with a user signed in, a member of an organization that is not active."""
    user, organization = people
    return new_client(
        "clerk_browser",
        url=service.url,
        user=user,
        token=session_token(user),
        organization=organization,
        organizationToken=session_token(user, organization),
    )


def test_clerk_js_creates_lists_reloads_and_revokes(clerk_js: Client, people: tuple[str, str]) -> None:
    user, _ = people
    key = clerk_js(
        "create", {"name": "From the browser", "description": "a laptop", "secondsUntilExpiration": 86_400}
    )
    assert key["secret"].startswith("ak_")
    assert (key["subject"], key["createdBy"], key["description"]) == (user, user, "a laptop")
    assert key["expiration"] is not None

    page = clerk_js("getAll", {"query": "browser", "pageSize": 5})
    assert ([each["id"] for each in page["data"]], page["total_count"]) == ([key["id"]], 1)

    again = clerk_js("reload", {"id": key["id"], "subject": user})
    assert (again["id"], again["name"], again.get("secret")) == (key["id"], "From the browser", None)

    revoked = clerk_js("revoke", {"apiKeyID": key["id"], "revocationReason": "the laptop is lost"})
    assert (revoked["revoked"], revoked["revocationReason"]) == (True, "the laptop is lost")
    assert clerk_js("getAll", {})["total_count"] == 0


def test_the_session_s_cookie_serves_to_read_and_for_nothing_else(
    service: Any, session_token: Callable[..., str], hers: httpx.Client, ada: str
) -> None:
    key = hers.post("/api_keys", json={"name": "a key"}).json()
    with httpx.Client(base_url=service.url, cookies={"__session": session_token(ada)}) as with_cookie:
        assert with_cookie.get(f"/v1/api_keys/{key['id']}").json()["id"] == key["id"]
        assert with_cookie.post(f"/api_keys/{key['id']}/revoke", json={}).status_code == 401
        assert with_cookie.post("/api_keys", json={"name": "another"}).status_code == 401


def test_the_session_s_cookie_is_not_looked_at_beside_another_authorization(
    service: Any, session_token: Callable[..., str], ada: str
) -> None:
    cookie = {"Cookie": f"__session={session_token(ada)}"}
    assert ask.get(f"{service.url}/api_keys", headers=cookie).status_code == 200
    for other in ("Basic YTpi", "Bearer", ""):
        assert ask.get(f"{service.url}/api_keys", headers=cookie | {"Authorization": other}).status_code == 401


def test_no_credential_comes_in_the_session_s_cookie(service: Any, credential: str) -> None:
    for path in ("/api_keys?subject=user_1", "/v1/audit"):
        for name in ("__session", "__session_abc"):
            answer = ask.get(f"{service.url}{path}", headers={"Cookie": f"{name}={credential}"})
            assert (answer.status_code, credential in answer.text) == (401, False)


def test_clerk_js_with_a_proxy_url_asks_with_two_slashes(clerk_js: Client) -> None:
    clerk_js("getAll", {})
    assert clerk_js("seen")[-1] == "GET /fapi//api_keys"


def test_clerk_js_means_the_active_organization(clerk_js: Client, people: tuple[str, str]) -> None:
    user, organization = people
    assert clerk_js("activate", organization) == organization
    key = clerk_js("create", {"name": "For all of us"})
    assert (key["subject"], key["createdBy"]) == (organization, user)
    assert [each["id"] for each in clerk_js("getAll")["data"]] == [key["id"]]
    assert clerk_js("activate", None) is None
    with pytest.raises(Refused) as refused:  # not the session's active organization
        clerk_js("getAll", {"subject": organization})
    assert refused.value.status == 403


def test_clerk_js_has_errors_that_it_can_show(clerk_js: Client) -> None:
    with pytest.raises(Refused) as refused:
        clerk_js("create", {"name": "x"})
    assert (refused.value.status, refused.value.code) == (400, "bad_request")
    assert "3 to 255 characters" in refused.value.about["errors"][0]["longMessage"]
    with pytest.raises(Refused) as refused:
        clerk_js("revoke", {"apiKeyID": UNKNOWN})
    assert (refused.value.status, refused.value.code) == (404, "api_key_not_found")


def test_a_create_that_is_repeated_shows_no_key_that_has_gone_to_somebody_else(
    hers: httpx.Client, http: httpx.Client, new_subject: Callable[[str], str]
) -> None:
    body, once = {"name": "a key"}, {"Idempotency-Key": "hers"}
    key = hers.post("/api_keys", json=body, headers=once).json()
    assert hers.post("/api_keys", json=body, headers=once).json()["id"] == key["id"]
    moved = {"subject": new_subject("org"), "claims": {"private": "theirs"}}
    assert http.patch(f"/api_keys/{key['id']}", json=moved).status_code == 200
    answer = hers.post("/api_keys", json=body, headers=once)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "idempotency_conflict")
    assert "theirs" not in answer.text
    assert moved["subject"] not in answer.text


def test_an_idempotency_key_of_a_user_and_one_of_a_credential_are_two(
    browser: Callable[[str], httpx.Client], session_token: Callable[..., str], owner: KeyLedger
) -> None:
    _, secret = credentials.create(owner.api_keys, name="Billing", scopes=["keys:write"])
    _, other_secret = credentials.create(owner.api_keys, name="Billing", scopes=["keys:write"])
    ada = "user_of_idempotency"
    body, once = {"name": "a key", "subject": ada, "created_by": ada}, {"Idempotency-Key": "the same"}
    hers = browser(session_token(ada)).post("/api_keys", json={"name": "a key"}, headers=once).json()
    made = [browser(each).post("/api_keys", json=body, headers=once) for each in (secret, other_secret, secret)]
    assert [answer.status_code for answer in made] == [201, 201, 201]
    ids = [answer.json()["id"] for answer in made]
    assert ids[0] == ids[2]
    assert len({*ids, hers["id"]}) == 3


def test_a_user_s_id_may_be_a_credential_s_without_sharing_its_idempotency_keys(
    browser: Callable[[str], httpx.Client], session_token: Callable[..., str], owner: KeyLedger
) -> None:
    key, secret = credentials.create(owner.api_keys, name="Billing", scopes=["keys:write"])
    body, once = {"name": "a key", "subject": key.id}, {"Idempotency-Key": "the same"}
    made = browser(secret).post("/api_keys", json=body | {"created_by": key.id}, headers=once).json()
    hers = browser(session_token(key.id)).post("/api_keys", json=body, headers=once)
    assert (hers.status_code, hers.json()["id"] == made["id"]) == (201, False)


def test_a_foreign_key_s_id_is_answered_exactly_as_an_unknown_one(
    hers: httpx.Client, create: Callable[..., dict[str, Any]]
) -> None:
    foreign = create()["id"]
    for method, path, body in (
        ("GET", "/api_keys/{id}", None),
        ("POST", "/api_keys/{id}/revoke", {}),
        ("PATCH", "/api_keys/{id}", {"description": "mine"}),
    ):
        answers = []
        for api_key_id in (foreign, UNKNOWN):
            answer = hers.request(
                method, path.format(id=api_key_id), json=body, headers={"X-Request-Id": "the-same"}
            )
            answers.append((answer.status_code, answer.content, set(answer.headers)))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


def test_what_a_browser_revokes_is_on_record_with_the_user(hers: httpx.Client, ada: str, owner: Any) -> None:
    key = hers.post("/api_keys", json={"name": "a key"}).json()
    hers.post(f"/api_keys/{key['id']}/revoke", json={}, headers={"X-Request-Id": "req_of_ada"})
    created, revoked = (
        entry for entry in owner.audit.history(api_key_id=key["id"], descending=False, fresh=True).entries
    )
    assert (created.actor.user_id, revoked.actor.user_id) == (ada, ada)
    assert (revoked.actor.request_id, revoked.actor.ip_address) == ("req_of_ada", "127.0.0.1")
    assert revoked.actor.credential_id is None


def test_a_browser_chooses_neither_scopes_nor_claims_nor_another_s_name(hers: httpx.Client) -> None:
    for field in (
        {"scopes": ["admin"]},
        {"claims": {"admin": True}},
        {"created_by": "user_x"},
        {"type": "machine"},
    ):
        assert hers.post("/api_keys", json={"name": "a key", **field}).status_code == 400


def test_a_browser_changes_the_description_and_nothing_else(hers: httpx.Client) -> None:
    key = hers.post("/api_keys", json={"name": "a key"}).json()
    changed = hers.patch(f"/api_keys/{key['id']}", json={"description": "new"})
    assert (changed.status_code, changed.json()["description"]) == (200, "new")
    assert hers.patch(f"/api_keys/{key['id']}", json={"scopes": ["admin"]}).status_code == 400


def test_what_is_for_services_alone_is_forbidden_to_browsers(hers: httpx.Client) -> None:
    key = hers.post("/api_keys", json={"name": "a key"}).json()
    assert hers.delete(f"/api_keys/{key['id']}").status_code == 403
    assert hers.get(f"/api_keys/{key['id']}/secret").status_code == 403
    assert hers.post("/api_keys/verify", json={"secret": key["secret"]}).status_code == 403


def test_a_member_sees_the_active_organization_s_keys_and_the_own_ones(
    browser: Callable[[str], httpx.Client], session_token: Callable[..., str], ada: str, acme: str
) -> None:
    with_acme, alone = browser(session_token(ada, acme)), browser(session_token(ada))
    of_acme = with_acme.post("/api_keys", json={"name": "Acme's"}).json()
    own = alone.post("/api_keys", json={"name": "Ada's"}).json()
    assert [each["id"] for each in with_acme.get("/api_keys").json()["data"]] == [of_acme["id"]]
    assert with_acme.get(f"/api_keys/{own['id']}").status_code == 200
    assert alone.get(f"/api_keys/{of_acme['id']}").status_code == 404


def test_tokens_of_version_1_name_the_organization_too(
    browser: Callable[[str], httpx.Client], session_token: Callable[..., str], ada: str, acme: str
) -> None:
    made = browser(session_token(ada, org_id=acme)).post("/api_keys", json={"name": "a key"})
    assert made.json()["subject"] == acme


@pytest.mark.parametrize(
    "claims",
    [{"exp": 1}, {"exp": None}, {"iss": "https://another.test"}, {"nbf": 2**33}, {"aud": "another"}, {"kid": "?"}],
)
def test_a_token_that_is_not_to_be_believed_is_401(
    browser: Callable[[str], httpx.Client], session_token: Callable[..., str], ada: str, claims: dict[str, Any]
) -> None:
    answer = browser(session_token(ada, **claims)).get("/api_keys")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "authentication_invalid")


def test_a_token_with_another_s_signature_or_none_is_401(
    browser: Callable[[str], httpx.Client], session_token: Callable[..., str], ada: str
) -> None:
    header, claims, _ = session_token(ada).split(".")
    _, _, foreign = session_token("user_somebody").split(".")
    for token in (f"{header}.{claims}.{foreign}", f"{header}.{claims}.", "a.b.c", "not a token"):
        assert browser(token).get("/api_keys").status_code == 401
