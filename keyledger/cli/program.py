"""The outermost command: whatever ends it becomes an exit code."""

import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from keyledger.cli.failures import INTERRUPTED, PIPE_CLOSED, TERMINATED, UNAVAILABLE, report
from keyledger.cli.output import OutputClosed, OutputFailed, write
from keyledger.domain import secret

_ON_COMMAND_LINE = (
    "an argument holds an API key's secret, which the process list and the shell's history show to others:"
    " give it on standard input (to revoke by it: keyledger keys revoke --secret-stdin)"
)


class Program(click.Group):
    """The group of all commands. It never ends in a traceback."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> NoReturn:
        """Run, and exit: 0, 1 refused, 2 usage, 3 unavailable, 130 interrupted, 141 nobody reads stdout."""
        arguments = list(sys.argv[1:] if args is None else args)
        # What a logger would say reaches this place as an error too, and stderr is for that alone.
        for name in ("keyledger", "psycopg"):
            logging.getLogger(name).addHandler(logging.NullHandler())
        extra["standalone_mode"] = False
        try:
            if any(secret.occurs_in(argument) for argument in arguments):
                raise click.UsageError(_ON_COMMAND_LINE)  # noqa: TRY301
            code = super().main(arguments, *more, **extra) or 0
        except OutputClosed as error:
            code = report(error, as_json="--json" in arguments) if str(error) else PIPE_CLOSED
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except Exception as error:
            code = report(error, as_json="--json" in arguments)
        sys.exit(_once_written(code))


def _once_written(code: int) -> int:
    """The exit code when stdout has taken what click itself printed; another's where it does not."""
    try:
        write("")
    except OutputClosed:
        return PIPE_CLOSED
    except OutputFailed:
        return code or UNAVAILABLE
    return code


def end_on_terminate() -> None:
    """Have SIGTERM end the program as an exception does, so that uses are stored and folders removed."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, end)
