"""`keyledger replay …`."""

from datetime import UTC, datetime

import click

from keyledger import KeyLedger
from keyledger.cli.changes import change_table
from keyledger.cli.failures import Refused
from keyledger.cli.key_tables import key_details, key_table
from keyledger.cli.options import Globals, Moment, global_options, opened
from keyledger.cli.output import batches, exactly, moment, show, show_json, show_json_array

_ROWS = 1_000
"""In one table; the next one has its heading again."""


@click.group()
@global_options
def replay() -> None:
    """Show the ledger as it was, from the events alone.

    A MOMENT is a time in ISO 8601 with its zone (2026-03-01T12:00:00Z), how long ago (90s, 30m, 2h, 7d, 1w),
    now, or a position in the order of all events (123 or @123; 0 is before all).
    """


@replay.command("key")
@click.argument("api_key_id", metavar="ID")
@click.option("--at", type=Moment(), required=True, metavar="MOMENT")
@global_options
@click.pass_obj
def key_as_of(target: Globals, *, api_key_id: str, at: datetime | int) -> None:
    """Show a key exactly as it was. Exit code 1 if it did not exist then.

    A MOMENT is a time, how long ago, or a position: see `keyledger replay --help`.
    """
    with opened(target) as ledger:
        key = ledger.replay.key_as_of(api_key_id, at)
        if key is None:
            raise Refused(_absence(ledger, api_key_id, at))
    if target.json:
        show_json(key.as_dict())
    else:
        show(f"As of {_told(at)}:", "", key_details(key))


@replay.command("keys")
@click.option("--at", type=Moment(), required=True, metavar="MOMENT")
@click.option("--subject", help="Only the keys that were this one's then.")
@click.option("--include-invalid", is_flag=True, help="With those that were revoked or expired.")
@global_options
@click.pass_obj
def keys_as_of(target: Globals, *, at: datetime | int, subject: str | None, include_invalid: bool) -> None:
    """Show all keys as they were, oldest first.

    A MOMENT is a time, how long ago, or a position: see `keyledger replay --help`.
    """
    with opened(target) as ledger:
        found = ledger.replay.keys_as_of(at, subject=subject, include_invalid=include_invalid)
        if target.json:
            show_json_array(key.as_dict() for key in found)
            return
        count = 0
        for some in batches(found, _ROWS):
            show(key_table(some, subjects=subject is None), "")
            count += len(some)
    left_out = "" if include_invalid else "; those that were revoked or expired are left out (--include-invalid)"
    show(f"{'1 key' if count == 1 else f'{count:,} keys'} as of {_told(at)}{left_out}")


@replay.command()
@click.option("--from", "start", type=Moment(), required=True, metavar="MOMENT")
@click.option("--to", "end", type=Moment(), metavar="MOMENT", help="Now, if it is left out.")
@click.option("--subject", help="Only what this one gained, lost or kept.")
@global_options
@click.pass_obj
def diff(target: Globals, *, start: datetime | int, end: datetime | int | None, subject: str | None) -> None:
    """Show which keys were gained, lost, widened or narrowed from one moment to another, and what did it.

    A MOMENT is a time, how long ago, or a position: see `keyledger replay --help`. Give two positions or two
    times. What was done and undone in between is not shown: `audit history` shows all.
    """
    with opened(target) as ledger:
        if end is None:
            end = ledger.replay.position() if isinstance(start, int) else datetime.now(UTC)
        found = ledger.replay.diff(start, end, subject=subject)
        if target.json:
            show_json_array(change.as_dict() for change in found)
            return
        count = 0
        for some in batches(found, _ROWS):
            show(change_table(some), "")
            count += len(some)
    show(f"{'1 change' if count == 1 else f'{count:,} changes'} from {_told(start)} to {_told(end)}")
    show("What was done and undone in between is not among them: see `keyledger audit history`.")


def _told(at: datetime | int) -> str:
    return f"position {at}" if isinstance(at, int) else exactly(at)


def _absence(ledger: KeyLedger, api_key_id: str, at: datetime | int) -> str:
    """Why there was no key."""
    absent = f"{api_key_id} did not exist at {_told(at)}"
    match ledger.replay.life(api_key_id, at):
        case (_, datetime() as deleted_at):
            return f"{absent}: it was deleted {moment(deleted_at)}"
    match ledger.replay.life(api_key_id, ledger.replay.position()):
        case (created_at, _):
            return f"{absent}: it was created {moment(created_at)}"
    return f"no key {api_key_id} was ever created here"
