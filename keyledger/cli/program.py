"""What a command's end means: exit codes, and errors without a traceback or a secret."""

import contextlib
import json
import logging
import re
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from keyledger import (
    IdempotencyConflict,
    InvalidAPIKey,
    InvalidArgument,
    KeyLedgerError,
    KeyNotFound,
    KeyRevokedError,
)
from keyledger.cli.output import OutputClosed, OutputFailed, printable
from keyledger.domain import secret

REFUSED, USAGE, UNAVAILABLE, INTERRUPTED, PIPE_CLOSED, TERMINATED = 1, 2, 3, 130, 141, 143

_ON_COMMAND_LINE = (
    "an argument holds an API key's secret, which the process list and the shell's history show to others:"
    " give it on standard input"
)
_NO_ARGUMENTS: type[Exception] = getattr(click.exceptions, "NoArgsIsHelpError", click.exceptions.Exit)
_PRIVATE = (
    (re.compile(r"ak_[0-9A-Za-z]{33,}"), "ak_[redacted]"),  # longer than an id: a secret, perhaps damaged
    (re.compile(r"(://[^\s:/@]*):[^\s/@]*@"), r"\1:[redacted]@"),
    (re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE), r"\1[redacted]"),
)


class Refused(click.ClickException):
    """The ledger works, and its answer is no."""

    exit_code = REFUSED


class Program(click.Group):
    """The outermost group: it turns whatever ends a command into an exit code and at most a few lines."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> NoReturn:
        """Run, and exit: 0, 1 refused, 2 usage, 3 unavailable, 130 interrupted."""
        arguments = list(sys.argv[1:] if args is None else args)
        # Whatever a logger would say reaches this place as an error, and stderr is for that alone.
        for name in ("keyledger", "psycopg"):
            logging.getLogger(name).addHandler(logging.NullHandler())
        extra["standalone_mode"] = False
        try:
            if any(secret.occurs_in(argument) for argument in arguments):
                raise click.UsageError(_ON_COMMAND_LINE)  # noqa: TRY301
            code = super().main(arguments, *more, **extra) or 0
        except OutputClosed:
            code = PIPE_CLOSED
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except Exception as error:
            code = _report(error, as_json="--json" in arguments)
        sys.exit(code)


def end_on_terminate() -> None:
    """Have SIGTERM end the program as an exception does, so that uses are stored and folders removed."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, end)


def _report(error: Exception, *, as_json: bool) -> int:
    """Say on stderr what went wrong, and return the exit code."""
    if isinstance(error, _NO_ARGUMENTS) and isinstance(error, click.UsageError):
        _say(error.format_message())
        return USAGE
    kind, message, param, code = _described(error)
    message = _redact(message)
    if as_json:
        about = {"type": kind, "message": message, **({"param": param} if param else {})}
        _say(json.dumps({"error": about}))
    else:
        _say(f"keyledger: {printable(message)}")
        if isinstance(error, click.UsageError) and error.ctx is not None:
            _say(f"Try '{error.ctx.command_path} --help'.")
    return code


def _described(error: Exception) -> tuple[str, str, str | None, int]:
    """The kind of error, its message, the argument it is about, and the exit code."""
    match error:
        case Refused():
            return "Refused", error.format_message(), None, REFUSED
        case click.ClickException():
            param = getattr(error, "param", None)
            return "UsageError", error.format_message(), param and param.name, USAGE
        case InvalidArgument():
            return type(error).__name__, str(error), error.param, USAGE
        case KeyNotFound() | KeyRevokedError() | IdempotencyConflict() | InvalidAPIKey():
            return type(error).__name__, str(error), None, REFUSED
        case KeyLedgerError() | OutputFailed():
            return type(error).__name__, str(error), None, UNAVAILABLE
    return "InternalError", f"a defect of keyledger: {type(error).__name__}: {error}", None, UNAVAILABLE


def _redact(message: str) -> str:
    for pattern, instead in _PRIVATE:
        message = pattern.sub(instead, message)
    return message


def _say(line: str) -> None:
    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "ascii"
    with contextlib.suppress(OSError):  # nobody listens there
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()
