"""Writing the history as JSON Lines: batch by batch, with the progress where a terminal shows it."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from keyledger import HistoryEntry
from keyledger.cli.output import OutputFailed, batches, json_text, write

_BATCH = 500

Write = Callable[[str], object]


def write_lines(entries: Iterable[HistoryEntry], head: int, output: str | None, *, quiet: bool) -> int:
    """Write a line an entry, to the file, else to stdout; returns how many. `head` is the last position."""
    count = 0
    with _writer(output) as put, _progress(head, output, quiet=quiet) as advance:
        for batch in batches(entries, _BATCH):
            put("".join(json_text(entry.as_dict()) + "\n" for entry in batch))
            count += len(batch)
            advance(batch, count)
    return count


@contextmanager
def _writer(output: str | None) -> Iterator[Write]:
    """Stdout, or the file. Raises OutputFailed."""
    if output is None:
        yield write
        return
    try:
        with _file(Path(output)) as put:
            yield put
    except OSError as error:
        raise OutputFailed(f"{output} cannot be written: {error.strerror}") from None


@contextmanager
def _file(path: Path) -> Iterator[Write]:
    """The file, which is replaced when everything is written; only its owner may read it."""
    if path.exists() and not path.is_file():  # a pipe or a device is no file to replace
        with path.open("w", encoding="ascii") as stream:
            yield stream.write
        return
    path = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            yield stream.write
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _progress(
    head: int, output: str | None, *, quiet: bool
) -> Iterator[Callable[[list[HistoryEntry], int], None]]:
    """A bar on stderr, if that is a terminal and the lines do not go to one as well."""
    shown = not quiet and _is_terminal(sys.stderr) and (output is not None or not _is_terminal(sys.stdout))
    columns = TextColumn("{task.completed:,} of {task.total:,} positions"), BarColumn(), TimeRemainingColumn()
    counted = TextColumn("{task.fields[count]:,} entries")
    task: TaskID | None = None
    with Progress(*columns, counted, console=Console(stderr=True), disable=not shown) as progress:

        def advance(batch: list[HistoryEntry], count: int) -> None:
            nonlocal task
            if task is None:
                task = progress.add_task(
                    "export", start=True, total=head, completed=batch[0].position, count=count
                )
            progress.update(task, completed=batch[-1].position, count=count)

        yield advance
        if task is not None:
            progress.update(task, completed=head)


def _is_terminal(stream: object) -> bool:
    return bool(getattr(stream, "isatty", None) and stream.isatty())  # type: ignore[attr-defined]
