"""Running PostgreSQL's programs: with an environment of their own, to their end, within a time."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from io import BufferedWriter
from pathlib import Path

from keyledger.domain.errors import EmbeddedServerError

# Nothing else of the caller's environment: PGPORT or PGDATA would steer the server, and secrets would stay in it.
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
LINES_QUOTED = 8


def run(
    command: Sequence[str],
    *,
    seconds: float = 30.0,
    uid: int | None = None,
    gid: int | None = None,
    inherit: Iterable[int] = (),
    output: BufferedWriter | None = None,
    folder: Path = Path("/"),
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end in `folder`, as `uid` and `gid` if they are given, and return its output.

    `inherit` are file descriptors that it shares; `output` takes what it writes, which is returned otherwise.
    The program has a session of its own: Ctrl-C in the terminal is for the caller. Raises EmbeddedServerError
    when it does not end within `seconds`, and OSError when it cannot be run.
    """
    try:
        return subprocess.run(  # noqa: S603 - the library's own commands, and never a shell's text
            command,
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=output or subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=seconds,
            cwd=folder,
            env=_environment(),
            start_new_session=True,
            pass_fds=tuple(inherit),
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedServerError(
            f"{command[0]} did not end within {seconds:.0f} s: try again with a longer time-out"
        ) from error


def last_lines(text: str) -> str:
    """Return the end of a program's output, for an error message."""
    return "\n".join(text.strip().splitlines()[-LINES_QUOTED:])


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}
