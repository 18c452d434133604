"""`keyledger keys update`."""

from typing import Any

import click

from keyledger.cli.key_tables import show_key
from keyledger.cli.options import (
    Duration,
    Globals,
    JSONValue,
    acting,
    as_user,
    global_options,
    note_commas,
    opened,
)


@click.command()
@click.argument("api_key_id", metavar="ID")
@click.option("--description")
@click.option("--clear-description", is_flag=True)
@click.option("--scope", "scopes", multiple=True, help="The new scopes; may be given several times.")
@click.option("--clear-scopes", is_flag=True)
@click.option("--claims", type=JSONValue(), metavar="JSON")
@click.option("--clear-claims", is_flag=True)
@click.option("--subject", help="The new owner.")
@click.option("--expires-in", type=Duration(), metavar="TIME", help="From now.")
@click.option("--never-expires", is_flag=True)
@as_user
@global_options
@click.pass_obj
def update(target: Globals, /, *, api_key_id: str, as_user: str | None, **options: Any) -> None:
    """Change what is given; the rest of the key stays."""
    changes = _changes(**options)
    note_commas(options["scopes"])
    with opened(target) as ledger:
        key = acting(ledger, as_user).api_keys.update(api_key_id, **changes)
    show_key(key, as_json=target.json)


def _changes(*, expires_in: float | None, never_expires: bool, **options: Any) -> dict[str, Any]:
    """The arguments of `update`: only what was given; None where it is cleared."""
    given = {
        "description": (options["description"], options["clear_description"], "--clear-description"),
        "scopes": (options["scopes"] or None, options["clear_scopes"], "--clear-scopes"),
        "claims": (options["claims"], options["clear_claims"], "--clear-claims"),
        "subject": (options["subject"], False, ""),
        "seconds_until_expiration": (expires_in, never_expires, "--never-expires"),
    }
    changes: dict[str, Any] = {}
    for field, (value, clear, flag) in given.items():
        if clear and value is not None:
            raise click.UsageError(f"{flag} excludes a new value", click.get_current_context())
        if clear or value is not None:
            changes[field] = value[0] if field == "claims" and value else value
    if not changes:
        raise click.UsageError("nothing to change", click.get_current_context())
    return changes
