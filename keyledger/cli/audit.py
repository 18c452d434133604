"""`keyledger audit …`."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from keyledger import Actor
from keyledger.cli.entries import entry_table
from keyledger.cli.export import write_lines
from keyledger.cli.options import Globals, Time, global_options, opened, options_called
from keyledger.cli.output import complain, printable, show, show_json
from keyledger.domain.events import EVENTS

F = TypeVar("F", bound=Callable[..., Any])

_CALLED = {
    "api_key_id": "--key",
    "subject": "--subject",
    "user_id": "--user",
    "organization_id": "--organization",
    "ip_address": "--address",
    "request_id": "--request",
    "credential_id": "--credential",
}

_ACTOR = ("user_id", "organization_id", "ip_address", "request_id")


@click.group()
@global_options
def audit() -> None:
    """Show who did what with which key, and when: every use, change and refused attempt."""


def filters(command: F) -> F:
    """Accept what `_filters` makes the filters of."""
    for option in (
        click.option("--until", type=Time(), metavar="TIME", help="Before this."),
        click.option(
            "--since", type=Time(), metavar="TIME", help="From this on: 2026-11-23T12:00Z, or 2h, 7d ago."
        ),
        click.option(
            "--type",
            "event_types",
            multiple=True,
            type=click.Choice([event.topic for event in EVENTS]),
            help="May be given several times.",
        ),
        click.option(
            "--credential",
            "credential_id",
            metavar="ID",
            help="What was done with this service credential: its ak_… id, never its secret.",
        ),
        click.option("--request", "request_id", metavar="ID", help="What this request did (not what used a key)."),
        click.option(
            "--address", "ip_address", metavar="IP", help="What was done from here (not what used a key)."
        ),
        click.option("--organization", "organization_id", metavar="ID", help="What was done for it."),
        click.option("--user", "user_id", metavar="ID", help="What this user did."),
        click.option("--subject", help="Of the keys of this user or organization."),
        click.option("--key", "api_key_id", metavar="ID", help="Of this key."),
    ):
        command = option(command)
    return command


@audit.command()
@filters
@click.option("--ascending", is_flag=True, help="Oldest first; the newest otherwise.")
@click.option("--page-size", "--limit", type=int, default=50, show_default=True, help="1 to 1,000 entries.")
@click.option("--cursor", help="Where the page before ended; with the same options.")
@global_options
@click.pass_obj
def history(target: Globals, /, *, ascending: bool, page_size: int, cursor: str | None, **given: Any) -> None:
    """Show the history, a page at a time. All options that are given must match."""
    with options_called(**_CALLED):
        wanted = _filters(given)
        with opened(target) as ledger:
            page = ledger.audit.history(
                **wanted, descending=not ascending, page_size=page_size, cursor=cursor, fresh=True
            )
    if target.json:
        shown = [entry.as_dict() for entry in page.entries]
        show_json({"entries": shown, "next_cursor": page.next_cursor, "end_cursor": page.end_cursor})
        return
    if page.entries:
        show(entry_table(page.entries), "")
    count = "1 entry" if len(page.entries) == 1 else f"{len(page.entries)} entries"
    times = "".join(f" --{name} {wanted[name].isoformat()}" for name in ("since", "until") if wanted[name])
    more = f"; for more, the same command with{times} --cursor {page.next_cursor}" if page.next_cursor else ""
    show(f"{count}{more}")


@audit.command()
@filters
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A file to write, whole or not at all.",
)
@global_options
@click.pass_obj
def export(target: Globals, /, *, output: str | None, **given: Any) -> None:
    """Write the history as JSON Lines, oldest first: a JSON object an entry, as `history --json` shows it.

    With --json nothing else is written, not even the progress that a terminal shows.
    """
    if output == "":
        raise click.BadParameter("the name of a file, or - for stdout", param_hint="'--output'")
    output = None if output == "-" else output
    with options_called(**_CALLED):
        wanted = _filters(given)
        with opened(target) as ledger:
            entries = ledger.audit.export(**wanted, fresh=True)
            count = write_lines(entries, ledger.audit.position(), output, quiet=target.json)
    if output is not None and not target.json:
        complain(f"keyledger: {count:,} entries written to {printable(output)}")


def _filters(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of Audit's methods."""
    since: datetime | None = given["since"]
    actor = {field: given[field] for field in _ACTOR if given[field] is not None}
    return {
        "api_key_id": given["api_key_id"],
        "subject": given["subject"],
        "actor": Actor(**actor) if actor else None,
        "credential_id": given["credential_id"],
        "event_types": given["event_types"] or None,
        "since": since,
        "until": given["until"],
    }
