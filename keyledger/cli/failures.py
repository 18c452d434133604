"""What a failure means to whoever ran the command: an exit code, and a line without a secret."""

import json
import re

import click

from keyledger import (
    IdempotencyConflict,
    InvalidAPIKey,
    InvalidArgument,
    KeyLedgerError,
    KeyNotFound,
    KeyRevokedError,
    RebuildRefused,
)
from keyledger.cli.output import OutputClosed, OutputFailed, complain, printable

REFUSED, USAGE, UNAVAILABLE, INTERRUPTED, PIPE_CLOSED, TERMINATED = 1, 2, 3, 130, 141, 143

_OPTIONS = {
    "api_key_id": "ID",
    "at": "--at",
    "cursor": "--cursor",
    "dsn": "--dsn or KEYLEDGER_DSN",
    "end": "--to",
    "initial_page": "--page",
    "page_size": "--page-size",
    "projection": "NAME",
    "revocation_reason": "--reason",
    "scopes": "--scope",
    "seconds_until_expiration": "--expires-in",
    "since": "--since",
    "start": "--from",
    "until": "--until",
    "user_id": "--as-user",
}
"""The arguments whose options have other names, unless the command has noted another with the error."""

_NO_ARGUMENTS: type[Exception] = getattr(click.exceptions, "NoArgsIsHelpError", click.exceptions.Exit)
_PRIVATE = (
    (re.compile(r"[as]k_[0-9A-Za-z]{33,}"), "ak_[redacted]"),  # longer than an id: a secret, perhaps damaged
    (re.compile(r"(://[^\s:/@]*):[^\s/@]*@"), r"\1:[redacted]@"),
    (re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE), r"\1[redacted]"),
)


_NOTHING = re.compile(r", or None(?: for (\w+))?$")
"""What Python's callers may give; on a command line it is left out."""


class Refused(click.ClickException):
    """The ledger works, and its answer is no."""

    exit_code = REFUSED


def report(error: Exception, *, as_json: bool) -> int:
    """Say on stderr what went wrong, and return the exit code."""
    if isinstance(error, _NO_ARGUMENTS):
        complain(str(error))  # the help
        return USAGE
    kind, message, param, code = _described(error)
    for pattern, instead in _PRIVATE:
        message = pattern.sub(instead, message)
    if as_json:
        about = {"type": kind, "message": message, **({"param": param} if param else {})}
        complain(json.dumps({"error": about}))
        return code
    complain(f"keyledger: {printable(message)}")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        complain(f"Try '{error.ctx.command_path} --help'.")
    return code


def _described(error: Exception) -> tuple[str, str, str | None, int]:
    """The kind of error, its message, the argument it is about, and the exit code."""
    kind = type(error).__name__
    match error:
        case Refused():
            return kind, error.format_message(), None, REFUSED
        case click.ClickException():
            param = getattr(error, "param", None)
            return "UsageError", error.format_message(), param and param.name, USAGE
        case InvalidArgument():
            called = next(iter(getattr(error, "__notes__", ())), _OPTIONS.get(error.param, error.param))
            message = f"{called}: {_NOTHING.sub(_left_out, error.allowed)}"
            return kind, message, error.param, USAGE
        case KeyNotFound() | KeyRevokedError() | IdempotencyConflict() | InvalidAPIKey() | RebuildRefused():
            return kind, str(error), None, REFUSED
        case OutputClosed():
            return kind, str(error), None, PIPE_CLOSED
        case KeyLedgerError() | OutputFailed() | OSError():
            return kind, str(error), None, UNAVAILABLE
    return "InternalError", f"a defect of keyledger: {kind}: {error}", None, UNAVAILABLE


def _left_out(nothing: re.Match[str]) -> str:
    return f"; leave it out for {nothing[1]}" if nothing[1] else ""
