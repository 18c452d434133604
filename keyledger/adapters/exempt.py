"""Paths that are open to everybody, such as health checks."""

from collections.abc import Iterable

from keyledger import InvalidArgument

_ALLOWED = "a list of paths such as /health, or /public/* for all below /public/"


class ExemptPaths:
    """Paths to the letter, and everything below those that end in `/*`."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        """Raises InvalidArgument for what is no path."""
        if isinstance(paths, str) or not isinstance(paths, Iterable):
            raise InvalidArgument("exempt", _ALLOWED)
        given = tuple(paths)
        if not all(isinstance(path, str) and path.startswith("/") and "*" not in path[:-1] for path in given):
            raise InvalidArgument("exempt", _ALLOWED)
        if any(path.endswith("*") and not path.endswith("/*") for path in given):
            raise InvalidArgument("exempt", _ALLOWED)
        self._paths = frozenset(path for path in given if not path.endswith("/*"))
        self._beginnings = tuple(path[:-1] for path in given if path.endswith("/*"))

    def __bool__(self) -> bool:
        return bool(self._paths or self._beginnings)

    def __contains__(self, path: str) -> bool:
        if path in self._paths:
            return True
        # What the service may read as a path elsewhere is below nothing.
        return (
            path.startswith(self._beginnings)
            and not any(part in {"", ".", ".."} for part in path[1:].replace("\\", "/").split("/")[:-1])
            and not path.endswith(("/.", "/.."))
        )
