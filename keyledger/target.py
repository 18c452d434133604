"""Where a ledger is: in the PostgreSQL of a DSN, or in an embedded one with a data directory."""

import os
from pathlib import Path

from keyledger.domain import arguments
from keyledger.domain.errors import InvalidArgument

DSN_VARIABLE = "KEYLEDGER_DSN"
DATA_DIR_VARIABLE = "KEYLEDGER_DATA_DIR"
DEFAULT_DATA_DIR = ".keyledger"

_LONGEST = 4096


def target(dsn: object, data_dir: object) -> str | Path:
    """The DSN as text, or the data directory as a path: the arguments', else the environment's.

    A variable that is empty counts as not set; an argument that is empty is a mistake that must not start a
    server. Raises InvalidArgument.
    """
    if dsn is not None and data_dir is not None:
        raise InvalidArgument("dsn", "either a DSN or a data_dir, not both")
    if data_dir is None:
        dsn = (os.environ.get(DSN_VARIABLE) or None) if dsn is None else dsn
        if dsn is not None:
            return arguments.text("dsn", dsn, maximum=_LONGEST, trimmed=False)
        data_dir = os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR
    path = os.fspath(data_dir) if isinstance(data_dir, os.PathLike) else data_dir
    found = Path(arguments.text("data_dir", path, maximum=_LONGEST, trimmed=False))
    try:
        return found.expanduser()
    except RuntimeError:
        raise InvalidArgument("data_dir", f"there is no home directory for {found.parts[0]}") from None
