"""Why PostgreSQL failed, in words that hold nothing that was sent."""

import re

import psycopg
from psycopg_pool import PoolTimeout

_REFUSAL = re.compile(r"(?:FATAL:\s+|fe_sendauth: )(.+)")
"""What the server said, or libpq of what the server asked for."""


def unconnected(error: psycopg.Error) -> str:
    """Why there is no connection: a server that says no is there, and another try meets the same."""
    refusal = _REFUSAL.search(str(error))
    if refusal is not None:
        return f"PostgreSQL refused the connection: {refusal[1]}"
    return f"PostgreSQL cannot be reached: {reason_of(error)}"


def reason_of(error: Exception) -> str:
    """The driver's first line: the later ones may hold what was sent."""
    if isinstance(error, PoolTimeout):
        return "no connection was to be had"
    return (str(error) or type(error).__name__).splitlines()[0]
