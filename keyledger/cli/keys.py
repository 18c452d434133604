"""`keyledger keys …`."""

from typing import Any

import click

from keyledger import APIKey, KeyLedger, PepperUnavailable, Use
from keyledger.cli.failures import REFUSED, Refused
from keyledger.cli.options import Duration, Globals, JSONValue, acting, as_user, global_options, opened
from keyledger.cli.output import plain, show, show_json, write
from keyledger.cli.stdin_secret import read_secret
from keyledger.cli.tables import key_details, key_table
from keyledger.domain.ids import key_id_text
from keyledger.domain.secret import parse

_USE = Use(user_agent="keyledger command line")
_NO_KEYS_SCOPE = ("keyledger keys revoke --secret-stdin",)
"""Asked of a leaked secret, so that the check stands in the history as refused and not as the key's last use."""
_REASONS = {
    "malformed": "that is not an API key's secret",
    "not_found": "no API key has this secret",
    "revoked": "the key is revoked",
    "expired": "the key has expired",
    "insufficient_scope": "the key lacks a scope that was asked for",
}


@click.group()
@global_options
def keys() -> None:
    """Create, list, show, update, revoke and verify API keys."""


@keys.command()
@click.option("--name", required=True, help="3 to 255 characters; fixed from then on.")
@click.option("--subject", help="Whose key it is: a user's or an organization's id.")
@click.option("--description", help="At most 255 characters.")
@click.option("--expires-in", type=Duration(), metavar="TIME", help="Seconds, or such as 90d, 12h, 30m.")
@click.option("--type", "kind", default="api_key", show_default=True, help="3 to 25 characters.")
@click.option("--scope", "scopes", multiple=True, help="May be given several times.")
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
        raise click.UsageError("--subject is required where --as-user names nobody", click.get_current_context())
    with opened(target) as ledger:
        key = acting(ledger, as_user).api_keys.create(
            type=kind, seconds_until_expiration=expires_in, claims=claims and claims[0], **fields
        )
        # Before the ledger closes: should that fail, the secret is out all the same.
        _show_created(key, as_json=target.json)


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
    pages = -(-found.total_count // page_size)
    left_out = "" if everything else "; revoked and expired keys are left out (--all)"
    count = "1 key" if found.total_count == 1 else f"{found.total_count} keys"
    show(f"{count}, page {page} of {max(1, pages)}{left_out}")


@keys.command("show")
@click.argument("api_key_id", metavar="ID")
@global_options
@click.pass_obj
def show_key(target: Globals, *, api_key_id: str) -> None:
    """Show the key of an id."""
    with opened(target) as ledger:
        key = ledger.api_keys.get(api_key_id)
    _show(key, as_json=target.json)


@keys.command()
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
    with opened(target) as ledger:
        key = acting(ledger, as_user).api_keys.update(api_key_id, **changes)
    _show(key, as_json=target.json)


@keys.command()
@click.argument("api_key_id", metavar="ID", required=False)
@click.option("--secret-stdin", is_flag=True, help="Revoke the key whose secret stands on stdin.")
@click.option("--reason", metavar="TEXT", help="At most 1,024 characters.")
@as_user
@global_options
@click.pass_obj
def revoke(
    target: Globals, *, api_key_id: str | None, secret_stdin: bool, reason: str | None, as_user: str | None
) -> None:
    """Revoke a key, for ever. A second time changes nothing.

    With a leaked secret at hand: `keyledger keys revoke --secret-stdin < leaked.txt`. The secret is checked first,
    which the key's history shows as a refused attempt by the "keyledger command line".
    """
    if (api_key_id is None) is not secret_stdin:
        raise click.UsageError("give either a key's ID or --secret-stdin", click.get_current_context())
    secret = read_secret() if secret_stdin else None
    with opened(target) as ledger:
        if secret is not None:
            api_key_id = _id_of(ledger, secret)
        assert api_key_id is not None
        key = acting(ledger, as_user).api_keys.revoke(api_key_id, revocation_reason=reason)
    _show(key, as_json=target.json)


@keys.command()
@click.option("--scope", "scopes", multiple=True, help="A scope the key must have; may be given several times.")
@global_options
@click.pass_context
def verify(context: click.Context, *, scopes: tuple[str, ...]) -> None:
    """Verify the secret that is read from stdin. Exit code 0 if it is valid, else 1.

    As with every verification, an accepted one is recorded as a use of the key.
    """
    target = context.ensure_object(Globals)
    secret = read_secret()
    with opened(target) as ledger:
        found = ledger.verify(secret, scopes=scopes, use=_USE)
    key = found.api_key
    if target.json:
        show_json({"valid": found.valid, "code": found.code, "api_key": key and key.as_dict()})
    else:
        show(plain("valid", "green") if found.valid else plain(f"{found.code}: {_REASONS[found.code]}", "red"))
        if key is not None:
            show("", key_details(key))
    context.exit(0 if found.valid else REFUSED)


def _id_of(ledger: KeyLedger, secret: str) -> str:
    """The id of the key that the secret belongs to, active or not. Raises Refused, PepperUnavailable."""
    try:
        found = ledger.verify(secret, scopes=_NO_KEYS_SCOPE, use=_USE)
    except PepperUnavailable as error:
        key_id = parse(secret)
        assert key_id is not None
        hint = f"; the secret names {key_id_text(key_id)}, which can be revoked by that id, unchecked"
        raise PepperUnavailable(f"{error}{hint}") from None
    if found.api_key is None:
        raise Refused(f"nothing was revoked: {_REASONS[found.code]}")
    return found.api_key.id


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


def _show(key: APIKey, *, as_json: bool) -> None:
    if as_json:
        show_json(key.as_dict())
    else:
        show(key_details(key))


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
