"""The command line, run in the test's own process."""

from click.testing import CliRunner, Result

from keyledger.cli import program


def run(dsn: str, *arguments: str) -> Result:
    return CliRunner().invoke(program, [*arguments, "--dsn", dsn], prog_name="keyledger")
