"""`keyledger keys revoke`."""

import click

from keyledger import KeyLedger, PepperUnavailable, Use
from keyledger.cli.failures import Refused
from keyledger.cli.key_tables import show_key
from keyledger.cli.options import Globals, acting, as_user, global_options, opened
from keyledger.cli.output import moment, show
from keyledger.cli.stdin_secret import read_secret
from keyledger.cli.verify import REASONS
from keyledger.domain.ids import key_id_text
from keyledger.domain.secret import parse
from keyledger.verifying.possession import plain_form

_USE = Use(user_agent="keyledger command line (keys revoke)")

_REVOKED = "Revoked; no process accepts it later than a second (its lease_seconds) from now."
_BEFORE = "It was revoked before, at {}; nothing was changed, the reason neither."
_MALFORMED = "stdin must hold the secret alone: ak_ or sk_ and 71 characters, without 'Bearer'"


@click.command()
@click.argument("api_key_id", metavar="[ID]", required=False)
@click.option("--secret-stdin", is_flag=True, help="Revoke the key or credential whose secret stands on stdin.")
@click.option("--reason", metavar="TEXT", help="At most 1,024 characters.")
@as_user
@global_options
@click.pass_obj
def revoke(
    target: Globals, *, api_key_id: str | None, secret_stdin: bool, reason: str | None, as_user: str | None
) -> None:
    """Revoke a key, for ever. A second time changes nothing, the reason neither.

    With a leaked secret at hand: `keyledger keys revoke --secret-stdin < leaked.txt`; that of a service credential
    (sk_…) revokes the credential. The secret is checked first, which the key's history shows as a refused attempt
    by the "keyledger command line (keys revoke)".
    """
    if (api_key_id is None) is not secret_stdin:
        raise click.UsageError("give either a key's ID or --secret-stdin", click.get_current_context())
    secret = read_secret() if secret_stdin else None
    with opened(target) as ledger:
        if secret is not None:
            api_key_id = _id_of(ledger, secret)
        assert api_key_id is not None
        key, is_new = acting(ledger, as_user).api_keys.revoke_once(api_key_id, revocation_reason=reason)
    if not target.json:
        show(_REVOKED if is_new else _BEFORE.format(moment(key.updated_at)), "")
    show_key(key, as_json=target.json)


def _id_of(ledger: KeyLedger, secret: str) -> str:
    """The id of the key that the secret belongs to, active or not. Raises Refused, PepperUnavailable."""
    try:
        found = ledger.identify(secret, use=_USE)
    except PepperUnavailable as error:
        key_id = parse(plain_form(secret))
        assert key_id is not None
        hint = f"; the secret names {key_id_text(key_id)}, which can be revoked by that id, unchecked"
        raise PepperUnavailable(f"{error}{hint}") from None
    if found.api_key is None:
        reason = _MALFORMED if found.code == "malformed" else REASONS[found.code]
        raise Refused(f"nothing was revoked: {reason}")
    return found.api_key.id
