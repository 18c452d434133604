"""Verifying a secret, and recording that it was used."""

from collections.abc import Callable, Iterable

from keyledger.api_key import APIKey, api_key
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import REFUSALS, LedgerUnavailable
from keyledger.domain.scopes import Grant
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.uses.use_recorder import UseRecorder
from keyledger.verification import NOT_FOUND, Code, Verification
from keyledger.verifying.attempt import Attempt, attempt_of, code_of, wanted_scopes

Again = Callable[[bytes, tuple[str, ...], Use], APIKey | Verification | Outcome | None]
"""Of an `Authorization` field, the scopes that the call needs, and the use: the key that is let in; or what else
it comes to; or the outcome that was recorded before PostgreSQL had to be asked; or None, where nothing was."""

_MESSAGES: dict[Code, str] = {
    "malformed": "the text is not an API key's secret",
    "not_found": "no API key has this secret",
    "revoked": "the API key has been revoked",
    "expired": "the API key has expired",
    "insufficient_scope": "the API key lacks a scope that this call needs",
}


class Verifier:
    """Decides on secrets from what PostgreSQL holds at that moment."""

    def __init__(
        self, views: KeyViews, peppers: Peppers, recorder: UseRecorder, get: Callable[[str], APIKey]
    ) -> None:
        """`get` is how the keys that are found are reloaded."""
        self._views = views
        self._peppers = peppers
        self._recorder = recorder
        self._get = get
        self.waits = recorder.waits
        """Whether also what is decided from memory waits for PostgreSQL, to record the use."""
        self.again: Again = _unknown
        """What becomes of an `Authorization` field that memory knows, if it does."""

    def remember(self, field: bytes, secret: str) -> None:
        """Know a field again that held the secret and was let in."""

    def verify(
        self, secret: object, scopes: Iterable[str] = (), use: Use | None = None, *, of_credential: bool = False
    ) -> Verification:
        """What becomes of a secret, or of a service credential's. Raises LedgerUnavailable where nobody knows."""
        found = self.verify_at_once(secret, scopes, use, of_credential=of_credential)
        return found if found.__class__ is Verification else self.settle(found)  # type: ignore[arg-type]

    def verify_at_once(
        self, secret: object, scopes: Iterable[str] = (), use: Use | None = None, *, of_credential: bool = False
    ) -> Verification | Attempt:
        """What becomes of it without waiting for PostgreSQL; an attempt to be settled where it has to be asked."""
        return attempt_of(secret, wanted_scopes(scopes), use, of_credential=of_credential)

    def authenticate(self, secret: object, scopes: Iterable[str] = (), use: Use | None = None) -> APIKey:
        """The key of a secret. Raises the subclass of InvalidAPIKey for the reason, or LedgerUnavailable."""
        return accepted(self.verify(secret, scopes, use))

    def settle(self, attempt: Attempt) -> Verification:
        """What PostgreSQL says to an attempt. Raises LedgerUnavailable, also for a standby's word."""
        found = self._views.look_up(attempt.key_id)
        if found.server is None:
            raise LedgerUnavailable("PostgreSQL answers as a standby, which may not have heard of a revocation")
        view, right = found.view, attempt.is_right(found.view, found.digest, self._peppers)
        if view is None:
            return NOT_FOUND
        code = with_scopes(code_of(view), view.scopes, attempt.wanted) if right else "not_found"
        attempt.record(self._recorder, code)
        key = api_key(view, self._get) if right else None
        return Verification.of(code, key)


def accepted(found: Verification) -> APIKey:
    """The key of an accepted secret. Raises the subclass of InvalidAPIKey for the reason."""
    if not found.valid:
        raise REFUSALS[found.code](_MESSAGES[found.code])
    assert found.api_key is not None
    return found.api_key


def with_scopes(code: Outcome, granted: Iterable[str], wanted: tuple[str, ...]) -> Outcome:
    """What it comes to, with regard to the scopes that the call needs."""
    if wanted and code == "valid" and not Grant.of(granted).allows(wanted):
        return "insufficient_scope"
    return code


def _unknown(field: bytes, wanted: tuple[str, ...], use: Use) -> None:
    """Nothing is known."""
