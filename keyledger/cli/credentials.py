"""`keyledger credentials …`."""

import click

from keyledger import APIKey
from keyledger import credentials as service_credentials
from keyledger.cli.key_tables import key_details
from keyledger.cli.only_now import shown_only_now
from keyledger.cli.options import (
    Globals,
    acting,
    as_user,
    global_options,
    opened,
    options_called,
    warn_of_pepper,
)
from keyledger.cli.output import show, show_json, write


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
    "--scope",
    "one_by_one",
    multiple=True,
    help=f"One of {', '.join(service_credentials.SCOPES)}; may be given several times.",
)
@click.option("--scopes", metavar="SCOPE,…", help="Several, with commas between them.")
@as_user
@global_options
@click.pass_obj
def create(
    target: Globals, *, name: str, one_by_one: tuple[str, ...], scopes: str | None, as_user: str | None
) -> None:
    """Create a service credential and show its secret, this once."""
    if not one_by_one and scopes is None:
        raise click.UsageError("give --scope, once or several times", click.get_current_context())
    together = [] if scopes is None else [scope.strip() for scope in scopes.split(",")]
    wanted = [*one_by_one, *together]
    with options_called(scopes="--scope or --scopes"), opened(target, make=True) as ledger:
        key, secret = service_credentials.create(acting(ledger, as_user).api_keys, name=name, scopes=wanted)
        with shown_only_now(key):
            _show_created(key, secret, as_json=target.json)
        warn_of_pepper(ledger)


def _show_created(key: APIKey, secret: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"id": key.id, "name": key.name, "scopes": key.scopes, "secret": secret})
        return
    show(key_details(key), "")
    show("The secret is shown only now, and kept nowhere. Copy it:", "")
    write(f"{secret}\n")
