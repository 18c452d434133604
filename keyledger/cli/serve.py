"""`keyledger serve`."""

import socket
from pathlib import Path
from typing import Any

import click

from keyledger import LedgerUnavailable
from keyledger.cli.options import Globals, global_options, opened, options_called


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--unique-names", is_flag=True, help="No two live keys of a subject have the same name.")
@click.option(
    "--jwks-file", type=click.Path(exists=True, dir_okay=False), help="Serve browsers: the keys of session tokens."
)
@click.option("--issuer", metavar="URL", help="What the session tokens' `iss` must be; with --jwks-file.")
@click.option(
    "--authorized-party",
    "authorized_parties",
    multiple=True,
    metavar="ORIGIN",
    help="What the session tokens' `azp` may be; with --jwks-file; may be given several times.",
)
@click.option(
    "--database-timeout",
    "database_timeout_seconds",
    type=click.FloatRange(0, 3600, min_open=True, max_open=True),
    default=5.0,
    show_default=True,
    help="Seconds after which a call that waits for PostgreSQL is answered 503.",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="NETWORK",
    help="Whose X-Forwarded-For is believed: 10.0.0.0/8, ::1; may be given several times.",
)
@click.option(
    "--body-limit",
    "body_limit_bytes",
    type=click.IntRange(1),
    default=65_536,
    show_default=True,
    help="Bytes of a body; a longer one is refused.",
)
@click.option(
    "--read-timeout",
    "read_timeout_seconds",
    type=click.FloatRange(0, 3600, min_open=True, max_open=True),
    default=10.0,
    show_default=True,
    help="Seconds in which a request's head, and then its body, must arrive.",
)
@click.option(
    "--failures-per-minute",
    type=click.IntRange(0),
    default=600,
    show_default=True,
    help="So many refused secrets of one source are answered as such, the next ones with 429; 0 for no limit.",
)
@click.option("--access-log/--no-access-log", default=True, show_default=True, help="A line for each request.")
@global_options
@click.pass_obj
def serve(target: Globals, /, *, jwks_file: str | None, **options: Any) -> None:
    """Serve the ledger over HTTP, as Clerk's own clients speak to it.

    Services call it with a credential: `keyledger credentials create`.
    """
    try:
        from keyledger.http import serving
    except ModuleNotFoundError as error:
        raise click.UsageError(str(error) if error.name == "starlette" else _MISSING) from None
    if jwks_file is None:
        for given, option in (("issuer", "--issuer"), ("authorized_parties", "--authorized-party")):
            if options[given]:
                raise click.UsageError(f"{option} needs --jwks-file", click.get_current_context())
    where = target.where()
    is_embedded = isinstance(where, Path)
    plan = serving.Plan(
        dsn=None if is_embedded else str(where),
        data_dir=str(Path(where).absolute()) if is_embedded else None,
        jwks_file=jwks_file and str(Path(jwks_file).absolute()),
        **options,
    )
    with options_called(trusted_proxies="--trusted-proxy"):
        plan.settings()
    _check_address(plan.host, plan.port)
    with opened(target, make=True):
        pass  # what keeps a worker from opening it is said here, once
    serving.serve(plan)


def _check_address(host: str, port: int) -> None:
    """Raise LedgerUnavailable where nobody can listen: granian shares a port that is taken, and says nothing."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise LedgerUnavailable(f"{host}, port {port}, cannot be listened on: {error.strerror}") from None


_MISSING = (
    "the HTTP service needs more packages: install keyledger with its extra http"
    ' (in a clone: pip install ".[http]")'
)
