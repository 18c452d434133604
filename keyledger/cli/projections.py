"""`keyledger projections`: how the read models are doing, and whether they are what the events make them."""

import click
import msgspec
from rich import box
from rich.table import Table

from keyledger import ProjectionStatus, RebuildReport, VerificationReport
from keyledger.cli.failures import REFUSED
from keyledger.cli.options import Globals, database, global_options, opened
from keyledger.cli.output import complain, plain, show, show_json
from keyledger.cli.progress_bar import progress_bar
from keyledger.infrastructure import schema
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.rebuilding import rebuild as rebuilding
from keyledger.read_models import named

_DIGITS = 12
"""Of a digest, where people read it."""


@click.group()
@global_options
def projections() -> None:
    """Look at, verify and rebuild the read models that are made of the events."""


@projections.command()
@global_options
@click.pass_obj
def status(target: Globals) -> None:
    """Say how far each read model has come, and which have stopped."""
    with opened(target) as ledger:
        found = ledger.status()
    if target.json:
        show_json([as_json(each) for each in found.projections])
        return
    show(status_table(found.projections))
    for problem in found.problems:
        show("", plain(problem, "red"))


@projections.command()
@click.argument("name", required=False)
@global_options
@click.pass_obj
def rebuild(target: Globals, /, *, name: str | None) -> None:
    """Make a read model anew from the events, or all of them, while readers and writers go on.

    Exit code 0 also where the old rows were not what the events make them: then they are now.
    """
    models = named(name)
    with database(target) as found:
        schema.check_version(found)
        with progress_bar("rebuilding") as progress:
            report = rebuilding.rebuild(found, EventCodec(), models, progress)
    if target.json:
        show_json(report)
        return
    show(_rebuilt(report))
    for each in report.projections:
        if each.failure is not None:
            complain(f"keyledger: {each.name} ends before an event that it cannot take: {each.failure}")


@projections.command()
@global_options
@click.pass_context
def verify(context: click.Context) -> None:
    """Compare every read model, row by row, with what the events make it. Exit code 1 if there is a difference."""
    target = context.ensure_object(Globals)
    with opened(target) as ledger, progress_bar("verifying") as progress:
        report = ledger.replay.verify_projections(progress=progress)
    if target.json:
        show_json({"ok": report.ok, **msgspec.to_builtins(report)})
    else:
        _show_verified(report)
    context.exit(0 if report.ok else REFUSED)


def as_json(projection: ProjectionStatus) -> dict[str, object]:
    """For programs."""
    return {**msgspec.structs.asdict(projection), "stopped": projection.stopped}


def status_table(found: tuple[ProjectionStatus, ...]) -> Table:
    """One row a read model."""
    table = _table("read model", "version", "position", "lag", "state")
    for each in found:
        lag = f"{each.lag_events:,} events, {each.lag_seconds:.1f} s" if each.lag_events else "none"
        state = f"stopped before {each.failed_position:,}" if each.failed_position is not None else "goes on"
        if each.rebuilding is not None:
            state += f"; a rebuild is at {each.rebuilding:,}"
        style = "red" if each.stopped else ""
        table.add_row(each.name, str(each.version), f"{each.position:,}", lag, plain(state, style))
    return table


def _rebuilt(report: RebuildReport) -> Table:
    table = _table("read model", "version", "events", "seconds", "old rows", "new rows", "")
    for each in report.projections:
        said = {True: "the same", False: "DIFFERENT: replaced", None: "of another version: replaced"}[each.equal]
        table.add_row(
            each.name,
            str(each.version),
            f"{each.events:,}",
            f"{each.seconds:.1f}",
            each.old_digest[:_DIGITS],
            each.new_digest[:_DIGITS],
            plain(said, "" if each.equal else "yellow"),
        )
    return table


def _show_verified(report: VerificationReport) -> None:
    table = _table("read model", "version", "position", "rows", "")
    for each in report.projections:
        said = (
            plain(f"{each.differing:,} differ", "red") if each.differing else plain("as the events say", "green")
        )
        table.add_row(each.name, str(each.version), f"{each.position:,}", f"{each.rows:,}", said)
    show(table)
    for each in report.projections:
        if (found := each.difference) is not None:
            where = ", ".join(f"{column} = {value}" for column, value in found.key.items())
            what = "the whole row" if found.column is None else found.column
            show(
                "",
                plain(f"The first difference of {each.name}: {found.table}, {where}: {what}"),
                plain(f"  expected  {found.expected}"),
                plain(f"  found     {found.found}"),
            )


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
