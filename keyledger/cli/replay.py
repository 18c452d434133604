"""`keyledger replay …`."""

from datetime import datetime

import click

from keyledger import KeyChange
from keyledger.cli.changes import change_table
from keyledger.cli.failures import Refused
from keyledger.cli.options import Globals, Moment, global_options, opened
from keyledger.cli.output import show, show_json
from keyledger.cli.tables import key_table, show_key


@click.group()
@global_options
def replay() -> None:
    """Show the ledger as it was, from the events alone.

    A MOMENT is a time in ISO 8601 with its zone (2026-03-01T12:00:00Z), how long ago (90s, 30m, 2h, 7d, 1w), or a
    position in the order of all events (123 or @123; 0 is before all).
    """


@replay.command("key")
@click.argument("api_key_id", metavar="ID")
@click.option("--at", type=Moment(), required=True, metavar="MOMENT")
@global_options
@click.pass_obj
def key_as_of(target: Globals, *, api_key_id: str, at: datetime | int) -> None:
    """Show a key exactly as it was. Exit code 1 if it did not exist then."""
    with opened(target) as ledger:
        key = ledger.replay.key_as_of(api_key_id, at)
    if key is None:
        raise Refused(f"{api_key_id} did not exist then")
    show_key(key, as_json=target.json)


@replay.command("keys")
@click.option("--at", type=Moment(), required=True, metavar="MOMENT")
@click.option("--subject", help="Only the keys that were this one's then.")
@click.option("--include-invalid", is_flag=True, help="With those that were revoked or expired.")
@global_options
@click.pass_obj
def keys_as_of(target: Globals, *, at: datetime | int, subject: str | None, include_invalid: bool) -> None:
    """Show all keys as they were, oldest first."""
    with opened(target) as ledger:
        found = list(ledger.replay.keys_as_of(at, subject=subject, include_invalid=include_invalid))
    if target.json:
        show_json([key.as_dict() for key in found])
        return
    if found:
        show(key_table(found), "")
    left_out = "" if include_invalid else "; those that were revoked or expired are left out (--include-invalid)"
    show(f"{'1 key' if len(found) == 1 else f'{len(found)} keys'}{left_out}")


@replay.command()
@click.option("--from", "start", type=Moment(), required=True, metavar="MOMENT")
@click.option("--to", "end", type=Moment(), required=True, metavar="MOMENT")
@click.option("--subject", help="Only what this one gained, lost or kept.")
@global_options
@click.pass_obj
def diff(target: Globals, *, start: datetime | int, end: datetime | int, subject: str | None) -> None:
    """Show which keys were gained, lost, widened or narrowed from one moment to another, and what did it.

    Two positions or two times. What was done and undone in between is not shown.
    """
    with opened(target) as ledger:
        found: list[KeyChange] = list(ledger.replay.diff(start, end, subject=subject))
    if target.json:
        show_json([change.as_dict() for change in found])
        return
    if found:
        show(change_table(found), "")
    show("1 change" if len(found) == 1 else f"{len(found)} changes")
