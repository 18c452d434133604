"""`keyledger serve`."""

from pathlib import Path

import click

from keyledger import LedgerUnavailable
from keyledger.cli.options import Globals, global_options, opened


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@global_options
@click.pass_obj
def serve(target: Globals, *, host: str, port: int, workers: int) -> None:
    """Serve the ledger over HTTP, as Clerk's own clients speak to it.

    Services call it with a credential: `keyledger credentials create`.
    """
    try:
        from keyledger.http import serving
    except ModuleNotFoundError as error:
        raise LedgerUnavailable(str(error) if error.name == "starlette" else _MISSING) from None
    where = target.where()
    is_embedded = isinstance(where, Path)
    plan = serving.Plan(
        dsn=None if is_embedded else str(where),
        data_dir=str(Path(where).absolute()) if is_embedded else None,
        host=host,
        port=port,
        workers=workers,
    )
    with opened(target):
        pass  # what keeps a worker from opening it is said here, once
    serving.serve(plan)


_MISSING = 'the HTTP service needs more packages: pip install "keyledger[http]"'
