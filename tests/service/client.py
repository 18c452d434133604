"""One of Clerk's clients as a process: it is asked in lines of JSON."""

import json
import os
import subprocess
import tempfile
from typing import Any, Self


class Refused(Exception):
    """What the client raised: its kind, the answer's status, and the code of its first error."""

    def __init__(self, about: dict[str, Any]) -> None:
        super().__init__(about)
        self.about = about
        self.kind = about["name"]
        self.status = about.get("status")
        errors = about.get("errors") or [{}]
        self.code = errors[0].get("code")


class Client:
    """A program of `clients`; `about` says which server it calls, and as whom."""

    def __init__(self, name: str, command: list[str], about: dict[str, Any]) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed at the exit
        environment = os.environ | {"CLIENT": json.dumps(about), "CLERK_TELEMETRY_DISABLED": "1"}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def begin(self, method: str, argument: Any = None) -> None:
        """Have a method called, and do not wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"method": method, "argument": argument}).encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """What a method that was begun returns. Raises Refused."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"{self.name} has ended: {self._errors.read().decode()[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["value"]

    def __call__(self, method: str, argument: Any = None) -> Any:
        """What a method returns. Raises Refused."""
        self.begin(method, argument)
        return self.end()
