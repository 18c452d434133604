"""`keyledger keys …`."""

from typing import Any

import click

from keyledger import APIKey
from keyledger.cli.delete import delete
from keyledger.cli.key_tables import key_details, key_table, show_key
from keyledger.cli.only_now import shown_only_now
from keyledger.cli.options import (
    Duration,
    Globals,
    JSONValue,
    acting,
    as_user,
    global_options,
    note_commas,
    opened,
    warn_of_pepper,
)
from keyledger.cli.output import show, show_json, write
from keyledger.cli.revoke import revoke
from keyledger.cli.update import update
from keyledger.cli.verify import verify


@click.group()
@global_options
def keys() -> None:
    """Create, list, show, update, revoke, delete and verify API keys."""


@keys.command()
@click.option("--name", required=True, help="3 to 255 characters; fixed from then on.")
@click.option("--subject", help="Whose key it is: a user's or an organization's id; by default --as-user's.")
@click.option("--description", help="At most 255 characters.")
@click.option("--expires-in", type=Duration(), metavar="TIME", help="Seconds, or such as 90d, 12h, 30m.")
@click.option("--type", "kind", default="api_key", show_default=True, help="3 to 25 characters.")
@click.option("--scope", "scopes", multiple=True, help="One scope; may be given several times.")
@click.option("--claims", type=JSONValue(), metavar="JSON", help="Any JSON value of at most 8 KiB.")
@click.option("--created-by", metavar="USER_ID", help="Who made it, if it was not --as-user.")
@click.option("--idempotency-key", metavar="KEY", help="A repetition makes no second key.")
@as_user
@global_options
@click.pass_obj
def create(
    target: Globals,
    /,
    *,
    expires_in: float | None,
    kind: str,
    claims: tuple[Any] | None,
    as_user: str | None,
    **fields: Any,
) -> None:
    """Create a key and show its secret, this once."""
    if fields["subject"] is None and as_user is None:
        missing = "give --subject (whose key it is), or --as-user for a user's own key"
        raise click.UsageError(missing, click.get_current_context())
    note_commas(fields["scopes"])
    with opened(target, make=True) as ledger:
        key = acting(ledger, as_user).api_keys.create(
            type=kind, seconds_until_expiration=expires_in, claims=claims and claims[0], **fields
        )
        # Before the ledger closes: should that fail, the secret is out all the same.
        with shown_only_now(key):
            _show_created(key, as_json=target.json)
        warn_of_pepper(ledger)


@keys.command("list")
@click.option("--subject", required=True, help="Whose keys.")
@click.option("--query", metavar="TEXT", help="Only names that contain this, in upper or lower case.")
@click.option("--page", type=int, default=1, show_default=True)
@click.option("--page-size", type=int, default=10, show_default=True, help="1 to 100.")
@click.option("--all", "everything", is_flag=True, help="With those that are revoked or expired.")
@global_options
@click.pass_obj
def list_keys(
    target: Globals, *, subject: str, query: str | None, page: int, page_size: int, everything: bool
) -> None:
    """List a subject's keys, newest first."""
    with opened(target) as ledger:
        found = ledger.api_keys.get_all(
            subject=subject, query=query, initial_page=page, page_size=page_size, include_invalid=everything
        )
    if target.json:
        show_json({"data": [key.as_dict() for key in found.data], "total_count": found.total_count})
        return
    if found.data:
        show(key_table(found.data), "")
    pages = max(1, -(-found.total_count // page_size))
    left_out = "" if everything else "; revoked and expired keys are left out (--all)"
    count = "1 key" if found.total_count == 1 else f"{found.total_count} keys"
    where = f"page {page} of {pages}" if page <= pages else f"there is no page {page}; the last is {pages}"
    show(f"{count}, {where}{left_out}")


@keys.command("show")
@click.argument("api_key_id", metavar="ID")
@global_options
@click.pass_obj
def show_one(target: Globals, *, api_key_id: str) -> None:
    """Show the key of an id."""
    with opened(target) as ledger:
        key = ledger.api_keys.get(api_key_id)
    show_key(key, as_json=target.json)


def _show_created(key: APIKey, *, as_json: bool) -> None:
    if as_json:
        show_json({**key.as_dict(), "secret": key.secret, "secret_already_issued": key.secret_already_issued})
        return
    show(key_details(key), "")
    if key.secret is None:
        show("This key was made before with the same idempotency key; its secret was shown then and never again.")
        return
    show("The secret is shown only now, and kept nowhere. Copy it:", "")
    write(f"{key.secret}\n")  # never through a table: it must not be folded


for command in (update, revoke, delete, verify):
    keys.add_command(command)
