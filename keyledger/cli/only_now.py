"""A new secret on its way to stdout."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyledger import APIKey
from keyledger.cli.output import OutputClosed, OutputFailed


@contextmanager
def shown_only_now(key: APIKey) -> Iterator[None]:
    """Say which key was made where its secret does not arrive: nobody can use it, or has it on a list to revoke.

    Raises OutputClosed, OutputFailed.
    """
    try:
        yield
    except (OutputClosed, OutputFailed) as error:
        if key.secret is None:
            raise
        lost = f"{key.id} was created and its secret is lost; revoke it (keyledger keys revoke {key.id})"
        raise type(error)(f"{error}; {lost}" if str(error) else lost) from None
