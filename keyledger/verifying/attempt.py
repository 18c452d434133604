"""A secret that somebody came with, before it is known what it is good for."""

from functools import lru_cache
from typing import cast
from uuid import UUID

from keyledger.credentials import is_credential
from keyledger.domain import arguments
from keyledger.domain.digest import Digest, Peppers
from keyledger.domain.errors import InvalidArgument
from keyledger.domain.ids import halves
from keyledger.domain.secret import CREDENTIAL_PREFIX, parse
from keyledger.domain.secret import of_credential as key_form
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.key_view import KeyView
from keyledger.infrastructure.uses.use_recorder import UseRecorder
from keyledger.verification import MALFORMED, Verification

NO_USE = Use()

_PLAIN = (tuple, list, set, frozenset)


class Attempt:
    """A secret that is still to be decided on, and what was recorded of it already: that is recorded once.

    `of_credential` says that a service credential's was asked for; `secret` is in the form of a key's.
    The prefix does not say it: a key's secret in a credential's form, or the other way round, must be refused.
    """

    __slots__ = ("key_id", "of_credential", "recorded", "secret", "use", "wanted")

    def __init__(
        self,
        key_id: UUID,
        secret: str,
        wanted: tuple[str, ...],
        use: Use,
        *,
        of_credential: bool = False,
        recorded: Outcome | None = None,
    ) -> None:
        self.key_id = key_id
        self.secret = secret
        self.wanted = wanted
        self.use = use
        self.of_credential = of_credential
        self.recorded = recorded

    def is_right(self, view: KeyView | None, digest: Digest | None, peppers: Peppers) -> bool:
        """Whether it is this key's secret, in the key's own form."""
        matches = peppers.matches(digest, self.key_id, self.secret)
        return matches and view is not None and is_credential(view) == self.of_credential

    def record(self, recorder: UseRecorder, outcome: Outcome) -> None:
        """Record what it comes to, once."""
        if outcome != self.recorded:
            recorder.record(*halves(self.key_id), outcome, self.use)
            self.recorded = outcome


def wanted_scopes(scopes: object) -> tuple[str, ...]:
    """The scopes that a call asks for. Raises InvalidArgument."""
    if isinstance(scopes, _PLAIN):
        try:
            return _checked_scopes(tuple(scopes))
        except TypeError:  # what has no hash is no text either
            pass
    return arguments.scopes(scopes)


@lru_cache(maxsize=1024)
def _checked_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    return arguments.scopes(scopes)


def attempt_of(
    secret: object,
    wanted: tuple[str, ...],
    use: Use | None,
    *,
    of_credential: bool,
    recorded: Outcome | None = None,
) -> Verification | Attempt:
    """What a call came with, or that it is no secret. Raises InvalidArgument for a use that is none."""
    check_use(use)
    text = _in_keys_form(secret) if of_credential else secret
    key_id = parse(text)
    if key_id is None:
        return MALFORMED
    return Attempt(
        key_id, cast("str", text), wanted, use or NO_USE, of_credential=of_credential, recorded=recorded
    )


def _in_keys_form(secret: object) -> str | None:
    is_one = isinstance(secret, str) and secret.startswith(CREDENTIAL_PREFIX)
    return key_form(cast("str", secret)) if is_one else None


def check_use(use: object) -> None:
    """Raise InvalidArgument for a use that is none."""
    if use is not None and not isinstance(use, Use):
        raise InvalidArgument("use", "a Use or None")


def code_of(view: KeyView) -> Outcome:
    """What a right secret comes to, all but for scopes."""
    if view.revoked_at is not None:
        return "revoked"
    return "expired" if view.expired else "valid"
