"""Service credentials: the `sk_` keys that the HTTP service accepts, which are keys of the ledger themselves."""

from collections.abc import Iterable

from keyledger.api_key import APIKey
from keyledger.api_keys import APIKeys
from keyledger.domain.errors import InvalidArgument
from keyledger.domain.secret import as_credential
from keyledger.infrastructure.key_view import KeyView

SUBJECT = "keyledger:credentials"
"""Whose keys they are: no id of Clerk's holds a colon, so they are in nobody's list."""

TYPE = "secret_key"

READ, WRITE, VERIFY, AUDIT = SCOPES = ("keys:read", "keys:write", "keys:verify", "audit:read")
"""What a credential may be allowed: to read keys, to create and change them, to verify secrets, to read the audit
history and the past."""


def create(api_keys: APIKeys, *, name: str, scopes: Iterable[str]) -> tuple[APIKey, str]:
    """A new credential, with its secret, which is given this once. Raises InvalidArgument."""
    wanted = tuple(scopes)
    if not wanted or not set(wanted) <= set(SCOPES) or len(set(wanted)) != len(wanted):
        raise InvalidArgument("scopes", f"one or more of {', '.join(SCOPES)}")
    made = api_keys.create(name=name, subject=SUBJECT, type=TYPE, scopes=wanted)
    assert made.secret is not None
    return made, as_credential(made.secret)


def is_credential(key: APIKey | KeyView) -> bool:
    """Whether a key is a service credential: by its type alone it is none, since callers choose types."""
    return key.type == TYPE and key.subject == SUBJECT
