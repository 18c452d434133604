"""`keyledger keys delete`."""

import click

from keyledger.cli.options import Globals, acting, as_user, global_options, opened
from keyledger.cli.output import show, show_json


@click.command()
@click.argument("api_key_id", metavar="ID")
@as_user
@global_options
@click.pass_obj
def delete(target: Globals, *, api_key_id: str, as_user: str | None) -> None:
    """Delete a key, for ever: no list, id or secret finds it any more. Its history stays."""
    with opened(target) as ledger:
        acting(ledger, as_user).api_keys.delete(api_key_id)
    if target.json:
        show_json({"id": api_key_id, "deleted": True})
    else:
        show(f"{api_key_id} is deleted; its history stays: keyledger audit history --key {api_key_id}")
