"""Where the installed command is."""

import sysconfig
from pathlib import Path

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "keyledger")
