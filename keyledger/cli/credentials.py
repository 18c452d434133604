"""`keyledger credentials …`."""

import click

from keyledger import APIKey
from keyledger import credentials as service_credentials
from keyledger.cli.only_now import shown_only_now
from keyledger.cli.options import Globals, acting, as_user, global_options, opened, options_called
from keyledger.cli.output import show, show_json, write
from keyledger.cli.tables import key_details


@click.group()
@global_options
def credentials() -> None:
    """Create the credentials with which services call `keyledger serve`.

    A credential is a key as others are: `keyledger keys list --subject keyledger:credentials` lists them, and
    `keyledger keys revoke` revokes one.
    """


@credentials.command()
@click.option("--name", required=True, help="3 to 255 characters.")
@click.option(
    "--scopes", required=True, metavar="SCOPE,…", help=f"Some of {', '.join(service_credentials.SCOPES)}."
)
@as_user
@global_options
@click.pass_obj
def create(target: Globals, *, name: str, scopes: str, as_user: str | None) -> None:
    """Create a service credential and show its secret, this once."""
    wanted = [scope.strip() for scope in scopes.split(",")]
    with options_called(scopes="--scopes"), opened(target) as ledger:
        key, secret = service_credentials.create(acting(ledger, as_user).api_keys, name=name, scopes=wanted)
        with shown_only_now(key):
            _show_created(key, secret, as_json=target.json)


def _show_created(key: APIKey, secret: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"id": key.id, "name": key.name, "scopes": key.scopes, "secret": secret})
        return
    show(key_details(key), "")
    show("The secret is shown only now, and kept nowhere. Copy it:", "")
    write(f"{secret}\n")
