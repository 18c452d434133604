"""`keyledger keys verify`."""

import click

from keyledger import Use
from keyledger.cli.failures import REFUSED
from keyledger.cli.key_tables import key_details
from keyledger.cli.options import Globals, global_options, opened
from keyledger.cli.output import plain, show, show_json
from keyledger.cli.stdin_secret import read_secret
from keyledger.domain.secret import is_of_credential

_USE = Use(user_agent="keyledger command line")
REASONS = {
    "malformed": (
        "that is not an API key's secret: stdin must hold the secret alone, ak_ and 71 characters,"
        " without 'Bearer'"
    ),
    "not_found": "no API key has this secret",
    "revoked": "the key is revoked",
    "expired": "the key has expired",
    "insufficient_scope": "the key lacks a scope that was asked for",
}
_CREDENTIAL = (
    "this is a service credential's secret, and no key that a caller sends:"
    " to revoke it, keyledger keys revoke --secret-stdin"
)


@click.command()
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
        reason = _CREDENTIAL if is_of_credential(secret) else REASONS.get(found.code)
        show(plain("valid", "green") if found.valid else plain(f"{found.code}: {reason}", "red"))
        if key is not None:
            show("", key_details(key))
    context.exit(0 if found.valid else REFUSED)
