"""The real program on a terminal of its own."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import Self

from cli.program_path import PROGRAM

_DEADLINE_SECONDS = 30.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """A pseudo-terminal so many columns wide, with the program on it."""

    def __init__(self, *arguments: str, columns: int = 80) -> None:
        self._own, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # getpass opens /dev/tty
            env=os.environ | {"TERM": "xterm-256color"},
        )
        os.close(other)
        self.seen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._own)

    def await_text(self, text: str) -> None:
        """Read until the text is there."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while text not in self.seen:
            assert self._read(deadline), f"{text!r} did not come: {self.seen!r}"

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._own, text.encode())

    def end(self) -> int:
        """Read what is left, and return the exit code."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while self._read(deadline):
            pass
        return self._process.wait(_DEADLINE_SECONDS)

    @property
    def text(self) -> str:
        """What was printed, without its colours."""
        return _ANSI.sub("", self.seen).replace("\r\n", "\n")

    def _read(self, deadline: float) -> bool:
        """Read some more; False at the end."""
        ready, _, _ = select.select([self._own], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more came: {self.seen!r}"
        try:
            data = os.read(self._own, 65536)
        except OSError:  # what Linux says once nobody holds the other side
            return False
        self.seen += data.decode()
        return bool(data)
