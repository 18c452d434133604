"""A secret from standard input: never from argv, which other processes can read."""

import getpass
import sys

import click

_MAXIMUM_BYTES = 4096


def read_secret() -> str:
    """The secret: typed unseen at a terminal, else what stdin holds, without one line end.

    Longer input is cut, which leaves it as malformed as it was. Raises click.UsageError where there is no stdin.
    """
    if sys.stdin is None:
        raise click.UsageError("the secret is read from standard input, which is closed")
    if sys.stdin.isatty():
        try:
            return getpass.getpass("Secret (not shown): ")
        except EOFError:
            return ""
    data = sys.stdin.buffer.read(_MAXIMUM_BYTES)
    return data.decode(errors="replace").removesuffix("\n").removesuffix("\r")
