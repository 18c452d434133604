"""A bar that says how far a long command has come, where somebody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keyledger import RebuildProgress

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("events"),
    TimeRemainingColumn(),
)


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[RebuildProgress], None] | None]:
    """What a rebuild or a verification tells its progress to; None, and no bar, where stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    with Progress(*_COLUMNS, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)

        def tell(progress: RebuildProgress) -> None:
            bar.update(
                task,
                description=f"{doing} {progress.projection}",
                completed=progress.position,
                total=max(progress.head, progress.position),
            )

        yield tell
