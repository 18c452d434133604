"""Verifying a secret, and recording that it was used."""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from keyledger.api_key import APIKey, api_key
from keyledger.domain import arguments
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import REFUSALS, InvalidArgument
from keyledger.domain.secret import parse
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.key_view import KeyView, KeyViews
from keyledger.infrastructure.use_recorder import UseRecorder

Code = Outcome | Literal["malformed"]

_NO_USE = Use()
_MESSAGES: dict[Code, str] = {
    "malformed": "the text is not an API key's secret",
    "not_found": "no API key has this secret",
    "revoked": "the API key has been revoked",
    "expired": "the API key has expired",
    "insufficient_scope": "the API key lacks a scope that this call needs",
}


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found.

    `api_key` is None where the secret is malformed or not found, and set where the secret is right, even if the
    key is refused.
    """

    valid: bool
    code: Code
    api_key: APIKey | None = None


class Verifier:
    """Decides on secrets from what PostgreSQL holds at that moment."""

    def __init__(
        self, views: KeyViews, peppers: Peppers, recorder: UseRecorder, get: Callable[[str], APIKey]
    ) -> None:
        self._views = views
        self._peppers = peppers
        self._recorder = recorder
        self._get = get

    def verify(self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None) -> Verification:
        """What becomes of a secret. Raises LedgerUnavailable when that cannot be decided."""
        wanted = arguments.scopes(scopes)
        if use is not None and not isinstance(use, Use):
            raise InvalidArgument("use", "a Use or None")
        key_id = parse(secret)
        if key_id is None:
            return Verification(valid=False, code="malformed")
        assert isinstance(secret, str)
        found = self._views.find_with_digest(key_id)
        right = self._peppers.matches(found[1] if found else None, key_id, secret)
        if found is None:
            return Verification(valid=False, code="not_found")
        view = found[0]
        code = _code(view, wanted) if right else "not_found"
        self._recorder.record(key_id, code, use or _NO_USE)
        key = api_key(view, self._get) if right else None
        return Verification(valid=code == "valid", code=code, api_key=key)

    def authenticate(self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None) -> APIKey:
        """The key of a secret. Raises the subclass of InvalidAPIKey for the reason, or LedgerUnavailable."""
        found = self.verify(secret, scopes=scopes, use=use)
        if not found.valid:
            raise REFUSALS[found.code](_MESSAGES[found.code])
        assert found.api_key is not None
        return found.api_key


def _code(view: KeyView, wanted: tuple[str, ...]) -> Outcome:
    if view.revoked_at is not None:
        return "revoked"
    if view.expired:
        return "expired"
    return "valid" if set(wanted) <= set(view.scopes) else "insufficient_scope"
