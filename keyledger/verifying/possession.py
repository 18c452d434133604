"""Whose secret that is, asked by who holds it and must not thereby have used the key."""

from collections.abc import Callable

from keyledger.api_key import APIKey, api_key
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.ids import halves
from keyledger.domain.secret import CREDENTIAL_PREFIX, of_credential, parse
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.uses.use_recorder import UseRecorder
from keyledger.verification import MALFORMED, NOT_FOUND, Verification
from keyledger.verifying.attempt import NO_USE, check_use, code_of


class Possession:
    """Finds keys by their secrets, and accepts none.

    Always from PostgreSQL: it is asked seldom, and what follows, a revocation, has to go there too.
    """

    def __init__(
        self, views: KeyViews, peppers: Peppers, recorder: UseRecorder, get: Callable[[str], APIKey]
    ) -> None:
        """`get` is how the keys that are found are reloaded."""
        self._views = views
        self._peppers = peppers
        self._recorder = recorder
        self._get = get

    def identify(self, secret: object, *, use: Use | None = None) -> Verification:
        """The key of a secret, or of a credential's `sk_…`, active or not; for who has found a leaked one.

        As a verification for a scope that no key has, not even by `*`: it is never `valid` and no use of the key,
        but on record as a refused attempt. Never raises for a bad secret. Raises LedgerUnavailable.
        """
        check_use(use)
        text = plain_form(secret)
        key_id = parse(text)
        if key_id is None:
            return MALFORMED
        found = self._views.look_up(key_id)
        if found.server is None:
            raise LedgerUnavailable("PostgreSQL answers as a standby, which may not have heard of the key")
        view, right = found.view, self._peppers.matches(found.digest, key_id, text)
        if view is None:
            return NOT_FOUND
        code = code_of(view) if right else "not_found"
        outcome: Outcome = "insufficient_scope" if code == "valid" else code
        self._recorder.record(*halves(key_id), outcome, use or NO_USE)
        return Verification.of(outcome, api_key(view, self._get) if right else None)


def plain_form(secret: object) -> str:
    """The secret as every key's is written, whatever it is shown with; nothing for what is no text."""
    if not isinstance(secret, str):
        return ""
    return of_credential(secret) if secret.startswith(CREDENTIAL_PREFIX) else secret
