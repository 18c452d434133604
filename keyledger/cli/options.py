"""Options that commands share, and opening what they name."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from keyledger import Actor, InvalidArgument, KeyLedger
from keyledger.acting import ActingLedger
from keyledger.cli.output import complain, printable
from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.embedded import EmbeddedServer
from keyledger.infrastructure.embedded.data_folder import DataFolder
from keyledger.target import target

F = TypeVar("F", bound=Callable[..., Any])

_AS_USER = "Who acts, recorded with the event; without it nobody is."

_NO_LEDGER = (
    "there is no ledger in {}: say where it is with --data-dir, KEYLEDGER_DATA_DIR or KEYLEDGER_DSN;"
    " `keyledger migrate` makes one, and so do `keys create`, `credentials create` and `serve`"
)

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)", re.ASCII)
_POSITION = re.compile(r"@?(\d{1,30})", re.ASCII)


class Globals:
    """What --dsn, --data-dir and --json said, wherever on the line they stood; the later one wins."""

    def __init__(self) -> None:
        self.dsn: str | None = None
        self.data_dir: str | None = None
        self.json = False

    def where(self) -> str | Path:
        """The DSN, or the embedded PostgreSQL's data directory. Raises InvalidArgument."""
        return target(self.dsn, self.data_dir)

    @property
    def temporary(self) -> bool:
        """Whether neither option was given."""
        return self.dsn is None and self.data_dir is None

    @classmethod
    def at(cls, dsn: str | None, data_dir: str | None) -> "Globals":
        """What names one ledger."""
        found = cls()
        found.dsn, found.data_dir = dsn, data_dir
        return found


def _store(context: click.Context, option: click.Parameter, value: Any) -> None:
    found = context.ensure_object(Globals)
    if value in (None, False):
        return
    assert option.name is not None
    setattr(found, option.name, value)
    if found.dsn is not None and found.data_dir is not None:
        raise click.UsageError("--dsn and --data-dir exclude each other", context)


def global_options(command: F) -> F:
    """Accept --dsn, --data-dir and --json here too."""
    common: Any = {"expose_value": False, "callback": _store}
    for option in (
        click.option("--json", is_flag=True, help="One JSON value on stdout.", **common),
        click.option("--data-dir", metavar="DIR", help="Embedded PostgreSQL with its data in DIR.", **common),
        click.option(
            "--dsn",
            metavar="DSN",
            help="Your PostgreSQL. One with a password belongs in KEYLEDGER_DSN, not here.",
            **common,
        ),
    ):
        command = option(command)
    return command


def as_user(command: F) -> F:
    """Accept --as-user."""
    return click.option("--as-user", metavar="USER_ID", help=_AS_USER)(command)


def acting(ledger: KeyLedger, user_id: str | None) -> ActingLedger:
    """The ledger, on behalf of the user if there is one."""
    return ledger if user_id is None else ledger.on_behalf_of(Actor(user_id=user_id))


@contextmanager
def opened(wanted: Globals, *, make: bool = False) -> Iterator[KeyLedger]:
    """The ledger that the options name.

    Where there is none, only with `make` is there one then, which is announced: perhaps another was meant. Else
    raises EmbeddedServerError: in the wrong folder no key would be found, and that read as if none were there.
    """
    where = wanted.where()
    new = _is_new(where)
    if new and not make and not _has_entries(Path(where)):
        raise EmbeddedServerError(_NO_LEDGER.format(Path(where).absolute()))
    with KeyLedger.open(wanted.dsn, data_dir=wanted.data_dir) as ledger:
        if new:
            _announce(where)
        yield ledger


@contextmanager
def database(wanted: Globals) -> Iterator[Database]:
    """The database itself, which a ledger opens only where its schema is up to date."""
    where = wanted.where()
    new = _is_new(where)
    server = EmbeddedServer.acquire(where) if isinstance(where, Path) else None
    try:
        if new:
            _announce(where)
        found = Database(server.conninfo if server else str(where))
        try:
            found.probe()
            yield found
        finally:
            found.close()
    finally:
        if server is not None:
            server.release()


def _is_new(where: str | Path) -> bool:
    """Whether there is no ledger yet in an embedded PostgreSQL's data directory."""
    return isinstance(where, Path) and not DataFolder(where).cluster.exists()


def _has_entries(folder: Path) -> bool:
    """Whether opening it says what is wrong: it is a file, or has things in it that are no ledger."""
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def _announce(where: str | Path) -> None:
    """Say on stderr that a ledger was made there, to programs too."""
    complain(f"keyledger: a new ledger was made in {printable(str(Path(where).absolute()))}")


def note_commas(scopes: tuple[str, ...]) -> None:
    """Say which scopes hold a comma: two were meant, perhaps."""
    for scope in scopes:
        if "," in scope:
            complain(f"keyledger: the scope {scope!a} holds a comma; for two scopes give --scope twice")


def warn_of_pepper(ledger: KeyLedger) -> None:
    """Say that a key is made without a pepper, where others have one: it was meant to have it too, perhaps."""
    found = ledger.status()
    if found.pepper == "none" and found.missing_peppers:
        named = ", ".join(map(repr, found.missing_peppers))
        complain(f"keyledger: made without a pepper, though other keys have one ({named}): set KEYLEDGER_PEPPERS")


@contextmanager
def options_called(**names: str) -> Iterator[None]:
    """Where arguments have options of other names than elsewhere, by argument."""
    try:
        yield
    except InvalidArgument as error:
        if error.param in names:
            error.add_note(names[error.param])
        raise


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A span of time, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
        if seconds <= 0:
            self.fail("a time above 0: seconds, or a number with s, m, h, d or w, such as 90d", param, ctx)
        return seconds


class Time(click.ParamType):  # type: ignore[type-arg]
    """A time: ISO 8601 with its zone, how long ago, or now."""

    name = "time"
    allowed = (
        "a time in ISO 8601 with its zone (2026-03-01T12:00:00Z), how long ago (90s, 30m, 2h, 7d, 1w), or now"
    )

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "now":
            return datetime.now(UTC)
        try:
            if _DURATION.fullmatch(value):
                return datetime.now(UTC) - timedelta(seconds=Duration().convert(value, param, ctx))
            found = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            found = None
        if found is None or found.utcoffset() is None:
            self.fail(self.allowed, param, ctx)
        return found


class Moment(Time):
    """A moment of the past: a time, how long ago, or a position."""

    name = "moment"
    allowed = f"{Time.allowed}, or a position (123, @123)"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        position = _POSITION.fullmatch(value)
        return int(position[1]) if position else super().convert(value, param, ctx)


class JSONValue(click.ParamType):  # type: ignore[type-arg]
    """A JSON text, as a tuple of the value that it stands for: null is a value too.

    A wrong text is not repeated: it may be private.
    """

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any]:
        try:
            return (loads(value, parse_constant=_no_constant),)
        except JSONDecodeError as error:
            self.fail(f"not JSON: {error.msg} at character {error.pos + 1}", param, ctx)
        except (ValueError, RecursionError):
            self.fail("not JSON that can be kept", param, ctx)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
