"""`keyledger migrate` and `keyledger status`."""

import click
import msgspec

from keyledger import ProjectionStatus, SequencerStatus
from keyledger.cli.failures import REFUSED
from keyledger.cli.key_tables import facts
from keyledger.cli.options import Globals, database, global_options, opened
from keyledger.cli.output import moment, plain, show, show_json
from keyledger.cli.progress_bar import progress_bar
from keyledger.infrastructure import schema
from keyledger.status import Status

_FEW = 5
"""Migrations that are named to people one by one."""

_NO_PEPPER = (
    "none: digests have no key, so whoever can write to the table could add a key of their own."
    " Set KEYLEDGER_PEPPERS=ID:BASE64 (32 random bytes or more: `openssl rand -base64 32`) in every process,"
    " and keep it: keys made with a pepper cannot be verified without it."
)


@click.command()
@global_options
@click.pass_obj
def migrate(target: Globals) -> None:
    """Bring the database's schema up to date, and the read models with it.

    It is safe to repeat, and to run from several processes at once.
    """
    with database(target) as found, progress_bar("making") as progress:
        applied = schema.migrate(found, progress)
    if target.json:
        show_json({"applied": applied, "schema_version": schema.CURRENT})
        return
    if len(applied) > _FEW:
        show(f"applied {len(applied)} migrations")
    else:
        for name in applied:
            show(f"applied {name}")
    show(f"The schema is at version {schema.CURRENT}{'.' if applied else ': nothing to do.'}")


@click.command()
@global_options
@click.pass_context
def status(context: click.Context) -> None:
    """Say how the ledger is doing. Exit code 1 unless its health is ok."""
    target = context.ensure_object(Globals)
    with opened(target) as ledger:
        found = ledger.status()
    if target.json:
        show_json(_as_json(found))
    else:
        _show(found)
    context.exit(0 if found.health == "ok" else REFUSED)


def _show(found: Status) -> None:
    store, table = found.store, facts()
    table.add_row("server", plain(f"PostgreSQL {store.server_version}"))
    table.add_row("database", plain(store.database))
    table.add_row("data directory", plain(found.data_dir or "— (a server of your own)"))
    table.add_row("schema", plain(f"version {store.schema_version} of {schema.CURRENT}"))
    table.add_row("keys", plain(f"{store.api_keys:,}, of which revoked {store.revoked:,}"))
    table.add_row("events", plain(f"{_events(found):,}, {store.events_bytes:,} bytes with their indexes"))
    table.add_row("without position", plain(f"{store.outbox:,} events"))
    table.add_row("sequencer", plain(_sequencer(found.sequencer)))
    for each in found.projections:
        table.add_row(f"read model {each.name}", plain(_projection(each), "red" if each.stopped else ""))
    for problem in found.problems:
        table.add_row("problem", plain(problem, "red"))
    table.add_row("health", plain(found.health, "green" if found.health == "ok" else "red"))
    table.add_row("last flush of uses", plain(moment(store.last_flush_at)))
    unpeppered = found.pepper == "none" and not found.missing_peppers
    table.add_row("pepper", plain(_NO_PEPPER if unpeppered else found.pepper))
    show(table)


def _events(found: Status) -> int:
    """All of them: positions have no holes."""
    return found.sequencer.position + found.store.outbox


def _sequencer(found: SequencerStatus) -> str:
    role = f"a process holds the role (epoch {found.epoch:,})" if found.held else "no process holds the role"
    return f"position {found.position:,}; {role}"


def _projection(found: ProjectionStatus) -> str:
    if found.stopped:
        return f"stopped before position {found.failed_position:,}: {found.failure}"
    lag = f"{found.lag_events:,} events, {found.lag_seconds:.1f} s behind" if found.lag_events else "at the head"
    return f"position {found.position:,}, {lag}"


def _as_json(found: Status) -> dict[str, object]:
    return {
        "server_version": found.store.server_version,
        "database": found.store.database,
        "data_dir": found.data_dir,
        "schema_version": found.store.schema_version,
        "newest_schema_version": schema.CURRENT,
        "api_keys": found.store.api_keys,
        "revoked": found.store.revoked,
        "events": _events(found),
        "events_bytes": found.store.events_bytes,
        "outbox": found.store.outbox,
        "last_flush_at": found.store.last_flush_at,
        "pepper": found.pepper,
        "missing_peppers": found.missing_peppers,
        "health": found.health,
        "problems": found.problems,
        "sequencer": found.sequencer,
        "projections": [{**msgspec.structs.asdict(each), "stopped": each.stopped} for each in found.projections],
    }
