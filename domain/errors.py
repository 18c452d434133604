"""Every error that keyledger raises.

KeyLedgerError
 ├── InvalidArgument              also a ValueError; `.param` names the argument
 ├── KeyNotFound                  also a LookupError
 │    └── MalformedKeyId          also an InvalidArgument: a text that is no key's id
 ├── KeyRevokedError
 ├── IdempotencyConflict
 ├── NameConflict                 where Settings.unique_names is on
 ├── InvalidAPIKey                raised by `authenticate`; `.code` as `Verification.code`
 │    ├── MalformedAPIKey
 │    ├── UnknownAPIKey
 │    ├── RevokedAPIKey
 │    ├── ExpiredAPIKey
 │    └── InsufficientScope
 ├── LedgerUnavailable            PostgreSQL did not answer in time, or the ledger cannot decide
 │    ├── PepperUnavailable
 │    └── EmbeddedServerError
 ├── SchemaOutOfDate              the command to run is in the message
 ├── RebuildRefused               a read model cannot be rebuilt; the message says why
 ├── LedgerClosed
 └── UnreadableEvent              an event newer than this version of keyledger, or damaged

No message ever holds a secret.
"""

from typing import ClassVar


class KeyLedgerError(Exception):
    """The base of every error that keyledger raises."""


class InvalidArgument(KeyLedgerError, ValueError):
    """An argument is malformed; the message says what is allowed, `param` (str) names the argument."""

    def __init__(self, param: str, allowed: str) -> None:
        super().__init__(param, allowed)
        self.param = param
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.param}: {self.allowed}"


class KeyNotFound(KeyLedgerError, LookupError):
    """No API key has this id."""


class MalformedKeyId(InvalidArgument, KeyNotFound):
    """The text is not a key's id, so no API key has it."""


class KeyRevokedError(KeyLedgerError):
    """A revoked API key cannot be updated."""


class IdempotencyConflict(KeyLedgerError):
    """The idempotency key was used before, with other arguments."""


class NameConflict(KeyLedgerError):
    """A live API key of the same subject has this name."""


class InvalidAPIKey(KeyLedgerError):
    """The secret is not accepted; `code` (str) says why, as `Verification.code` does."""

    code: ClassVar[str] = "invalid"


class MalformedAPIKey(InvalidAPIKey):
    """The text is not an API-key secret."""

    code = "malformed"


class UnknownAPIKey(InvalidAPIKey):
    """No API key has this secret."""

    code = "not_found"


class RevokedAPIKey(InvalidAPIKey):
    """The API key has been revoked."""

    code = "revoked"


class ExpiredAPIKey(InvalidAPIKey):
    """The API key has expired."""

    code = "expired"


class InsufficientScope(InvalidAPIKey):
    """The API key lacks a scope that the call asks for."""

    code = "insufficient_scope"


class LedgerUnavailable(KeyLedgerError):
    """The ledger cannot do or decide it now; nothing is known to be accepted. The message says why.

    Most often PostgreSQL did not answer within the time-out.
    """


class PepperUnavailable(LedgerUnavailable):
    """The key's digest was made with a pepper that this process was not given, so it cannot be checked."""


class EmbeddedServerError(LedgerUnavailable):
    """The embedded PostgreSQL could not be started; the message says what to do."""


class SchemaOutOfDate(KeyLedgerError):
    """The database's schema is missing, older or newer than this version of keyledger needs."""


class RebuildRefused(KeyLedgerError):
    """A read model cannot be rebuilt now, or not by this role; the live one is as it was."""


class LedgerClosed(KeyLedgerError):
    """The ledger was closed before this call."""


class UnreadableEvent(KeyLedgerError):
    """A stored event has an unknown type, a newer version or a damaged state; it is never skipped."""


REFUSALS: dict[str, type[InvalidAPIKey]] = {
    error.code: error
    for error in (MalformedAPIKey, UnknownAPIKey, RevokedAPIKey, ExpiredAPIKey, InsufficientScope)
}
