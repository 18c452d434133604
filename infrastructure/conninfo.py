"""What a caller gives to reach PostgreSQL by, before the driver sees it."""

import psycopg
from psycopg.conninfo import conninfo_to_dict

from keyledger.domain.errors import InvalidArgument


def check_conninfo(conninfo: str) -> None:
    """Raise InvalidArgument for what the driver would refuse with an error that shows the password."""
    try:
        found = conninfo_to_dict(conninfo)
    except psycopg.Error:
        found = None  # raised outside, so that the driver's error is not even its context
    if found is None:
        raise InvalidArgument("dsn", "a PostgreSQL connection string or URI")
    host, dbname, port = (str(found.get(part) or "") for part in ("host", "dbname", "port"))
    if "@" in host[1:] or "@" in dbname or not all(each.isdecimal() for each in port.split(",") if each):
        # What follows the first unescaped "@" or "/" of a password stands in one of these.
        raise InvalidArgument("dsn", "a URI whose password has its special characters percent-encoded")
