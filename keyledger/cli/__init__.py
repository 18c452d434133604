"""The command line: tables for people, JSON for programs."""

import click

from keyledger.cli.audit import audit
from keyledger.cli.credentials import credentials
from keyledger.cli.demo import demo
from keyledger.cli.keys import keys
from keyledger.cli.ledger import migrate, status
from keyledger.cli.options import global_options
from keyledger.cli.program import Program, end_on_terminate
from keyledger.cli.projections import projections
from keyledger.cli.replay import replay
from keyledger.cli.serve import serve


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keyledger", message="keyledger %(version)s")
@global_options
def program() -> None:
    """An API-key ledger: every fact about a key is an event in PostgreSQL.

    Without --dsn and --data-dir, KEYLEDGER_DSN says which PostgreSQL holds the ledger. Where that is not set
    either, it is an embedded PostgreSQL in KEYLEDGER_DATA_DIR, else in ./.keyledger.

    Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the ledger is not available.
    """


for command in (demo, migrate, status, keys, credentials, serve, audit, replay, projections):
    program.add_command(command)


def main() -> None:
    """The entry point `keyledger`."""
    end_on_terminate()
    program(prog_name="keyledger")


__all__ = ["main", "program"]
