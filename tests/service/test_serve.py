"""`keyledger serve` and `keyledger credentials create`, the commands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli.program_path import PROGRAM
from service import ask
from service.command_line import run
from service.conftest import Service


def test_a_credential_of_the_command_line_works(service_dsn: str, service: Service) -> None:
    made = run(
        service_dsn, "credentials", "create", "--name", "Billing", "--scopes", "keys:read, keys:verify", "--json"
    )
    assert (made.exit_code, made.stderr) == (0, "")
    found = json.loads(made.stdout)
    assert sorted(found) == ["id", "name", "scopes", "secret"]
    assert found["scopes"] == ["keys:read", "keys:verify"]
    headers = {"Authorization": f"Bearer {found['secret']}"}
    assert ask.get(f"{service.url}/api_keys?subject=user_1", headers=headers).status_code == 200


def test_people_see_the_secret_once_on_a_line_of_its_own(service_dsn: str) -> None:
    made = run(
        service_dsn, "credentials", "create", "--name", "Billing", "--scopes", "keys:read", "--as-user", "user_1"
    )
    assert made.exit_code == 0
    (secret,) = (line for line in made.stdout.splitlines() if line.startswith("sk_"))
    assert made.stdout.count(secret[3:]) == 1


@pytest.mark.parametrize("scopes", ["", "keys:everything", "keys:read,,", "*"])
def test_an_unknown_scope_is_wrong_usage_that_says_what_is_allowed(service_dsn: str, scopes: str) -> None:
    made = run(service_dsn, "credentials", "create", "--name", "Billing", "--scopes", scopes)
    assert made.exit_code == 2
    assert "keys:read, keys:write, keys:verify, audit:read" in made.stderr


def test_scopes_may_be_given_one_by_one_or_with_commas(service_dsn: str) -> None:
    made = run(
        service_dsn,
        *("credentials", "create", "--name", "Billing", "--json"),
        *("--scope", "keys:read", "--scopes", "keys:verify,audit:read", "--scope", "keys:write"),
    )
    assert json.loads(made.stdout)["scopes"] == ["keys:read", "keys:write", "keys:verify", "audit:read"]


def test_a_credential_without_a_scope_is_wrong_usage(service_dsn: str) -> None:
    made = run(service_dsn, "credentials", "create", "--name", "Billing")
    assert made.exit_code == 2
    assert "give --scope" in made.stderr


def test_without_the_extra_it_says_what_to_install(service_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("keyledger.http")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    refused = run(service_dsn, "serve")
    assert refused.exit_code == 2
    assert 'install keyledger with its extra http (in a clone: pip install ".[http]")' in refused.stderr
    assert run(service_dsn, "status").exit_code == 0


def test_a_port_that_is_taken_is_an_error(service: Service, service_dsn: str) -> None:
    refused = run(service_dsn, "serve", "--port", service.url.rpartition(":")[2])
    assert refused.exit_code == 3
    assert "cannot be listened on: Address already in use" in refused.stderr


def test_a_postgresql_that_is_not_there_is_an_error() -> None:
    refused = run("host=127.0.0.1 port=1 dbname=nothing", "serve")
    assert refused.exit_code == 3
    assert "PostgreSQL cannot be reached" in refused.stderr


def test_a_jwks_file_without_a_key_is_an_error(service_dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text('{"keys": [{"kty": "oct", "kid": "1", "k": "c2VjcmV0"}]}')
    refused = run(service_dsn, "serve", "--jwks-file", str(path))
    assert refused.exit_code == 2
    assert "a JWK set that has a public key" in refused.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--issuer", "https://x.test"), ("--authorized-party", "https://x.test")]
)
def test_what_sessions_must_say_is_wrong_usage_where_nobody_reads_them(
    service_dsn: str, option: str, value: str
) -> None:
    refused = run(service_dsn, "serve", option, value)
    assert refused.exit_code == 2
    assert f"{option} needs --jwks-file" in refused.stderr


@pytest.mark.parametrize("network", ["10.0.0.0/33", "proxy.internal", ""])
def test_a_proxy_that_is_no_network_is_wrong_usage(service_dsn: str, network: str) -> None:
    refused = run(service_dsn, "serve", "--trusted-proxy", network)
    assert refused.exit_code == 2
    assert "--trusted-proxy" in refused.stderr


def test_the_help_names_the_options() -> None:
    said = subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    for option in (
        "--host",
        "--port",
        "--workers",
        "--jwks-file",
        "--issuer",
        "--unique-names",
        "--trusted-proxy",
    ):
        assert option in said
