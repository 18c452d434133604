"""Why a read model cannot take an event: whose fault it is, and how it is told."""

import psycopg

from keyledger.domain import secret
from keyledger.infrastructure.database import PASSING
from keyledger.infrastructure.following.read_model import ReadModel

_CHARACTERS = 500
_BEYOND_LIMITS = "54"
_REFUSED_ALIKE = ("42", "3F", "0A")


def is_passing(error: Exception) -> bool:
    """Whether the database is to blame, which may be back in a moment.

    The driver counts what goes beyond a limit of PostgreSQL's, such as a text too long for an index, among such
    errors; but that is the event's.
    """
    return isinstance(error, PASSING) and not _sqlstate(error).startswith(_BEYOND_LIMITS)


def is_of_all_events(error: Exception) -> bool:
    """Whether no event would be taken: a privilege, a table or a column is missing."""
    return _sqlstate(error).startswith(_REFUSED_ALIKE)


def described(error: Exception, model: ReadModel) -> str:
    """The failure as it may be stored and shown: one line, without a secret, not too long.

    Of the database's errors only the first line: the later ones show rows.
    """
    line = next(iter(str(error).splitlines()), "")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        tables = ", ".join(f"keyledger.{table}" for table in model.tables)
        line += f"; the role needs SELECT, INSERT, UPDATE and DELETE on {tables}"
    text = secret.redact(f"{type(error).__name__}: {line}".removesuffix(": "))
    storable = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return storable if len(storable) <= _CHARACTERS else storable[: _CHARACTERS - 1] + "…"


def _sqlstate(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or ""
