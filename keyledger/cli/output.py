"""Printing: for people text that cannot steer their terminal, for programs one JSON value."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, TypeVar

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

T = TypeVar("T")

_BATCH = 500

_UNLIMITED = 10_000
"""Columns, where no terminal sets a limit: nothing is folded, and every row is one line."""

_NARROWEST = 76
"""Columns that tables need; a narrower terminal folds the lines itself, and loses nothing."""


class OutputClosed(Exception):
    """Whoever read stdout has gone; with a message where that must be known."""


class OutputFailed(Exception):
    """Stdout cannot be written to."""


def printable(text: str) -> str:
    """The text with everything that shows nothing, or that steers a terminal, in its escaped form."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text
    )


def plain(value: object, style: str = "") -> Text:
    """A value as it is, never as markup; `—` for None."""
    return Text("—" if value is None else printable(str(value)), style=style, overflow="fold")


def moment(value: datetime | None, nothing: str = "never") -> str:
    """A datetime in UTC, to the second."""
    return nothing if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def show(*renderables: RenderableType) -> None:
    """Print for people: as wide as their terminal; without colour and unlimited where there is none."""
    page = _Page()
    console = _console(page)
    for renderable in renderables:
        console.print(renderable)
    write("".join(line.rstrip() + "\n" for line in page.getvalue().splitlines()))


def exactly(value: datetime) -> str:
    """A datetime in UTC, to the microsecond."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%fZ")


def show_json(value: object) -> None:
    """Print for programs: one JSON value, on one line."""
    write(json_text(value) + "\n")


def show_json_array(values: Iterable[object]) -> None:
    """Print for programs: one JSON array, on one line, with few of its values in memory at a time."""
    before = "["
    for some in batches(values, _BATCH):
        write(before + ", ".join(map(json_text, some)))
        before = ", "
    write("]\n" if before == ", " else "[]\n")


def batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in their order, so many at a time."""
    remaining = iter(values)
    while some := list(islice(remaining, size)):
        yield some


def json_text(value: object) -> str:
    """The value as JSON, in ASCII, with datetimes as ISO 8601 in UTC."""
    return json.dumps(msgspec.to_builtins(value, enc_hook=_encoded))


def width() -> int:
    """The columns there are."""
    return _console(_Page()).width


def write(text: str) -> None:
    """Put text on stdout at once. Raises OutputClosed, OutputFailed."""
    stream = sys.stdout
    if stream is None:
        raise OutputFailed("the output cannot be written: stdout is closed")
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _forget(stream)
        raise OutputClosed from None
    except OSError as error:
        _forget(stream)
        raise OutputFailed(f"the output cannot be written: {error.strerror}") from None


def _forget(stream: TextIO) -> None:
    """Send what is still buffered nowhere: the interpreter would try again at its end, and fail."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def complain(text: str) -> None:
    """Put a line on stderr, as well as it can be put there."""
    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "ascii"
    with contextlib.suppress(OSError):  # nobody listens there
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()


class _Page(StringIO):
    """Collects what rich prints, which takes it for stdout: that is written to by `write` alone."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What stdout can show."""
        return (sys.stdout and sys.stdout.encoding) or "ascii"

    def isatty(self) -> bool:
        """Whether stdout is a terminal."""
        return sys.stdout is not None and sys.stdout.isatty()


def _console(page: _Page) -> Console:
    """A console that never takes a value for markup."""
    console = Console(file=page, highlight=False, markup=False, emoji=False)
    console.width = max(console.width, _NARROWEST) if page.isatty() else _UNLIMITED
    return console


def _encoded(value: object) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value).__name__)
