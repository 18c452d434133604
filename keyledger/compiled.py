"""Modules that are compiled where that can be done: those beside which a `.pxd` lies, with types for it.

`setup.py` compiles each to a module of its own, with an underscore before its name. Both are made of the one
source and do the same; the compiled one takes less time.
"""

import hashlib
import os
import sys
from importlib import import_module
from pathlib import Path

SWITCH = "KEYLEDGER_PURE_PYTHON"
"""The variable of the environment that, if it is not empty, has the sources run though they are compiled."""

_swapped: set[str] = set()


def prefer_compiled(name: str) -> None:
    """Have the classes and functions of a module be those that were compiled of it, if they were.

    Its constants and types stay its own. For the last line of the module, whose `__name__` it gets.
    """
    package, _, last = name.rpartition(".")
    if last.startswith("_") or os.environ.get(SWITCH):
        return
    try:
        compiled = import_module(f"{package}._{last}")
    except ImportError:  # there was no compiler, or it was for another Python
        return
    source = sys.modules[name]
    if stamp(Path(str(source.__file__))) != compiled.MADE_FROM:  # the source was changed since
        return
    _swapped.add(name)
    own = {key: value for key, value in vars(compiled).items() if _is_of(compiled.__name__, value)}
    vars(source).update(own)


def stamp(source: Path) -> str:
    """What a module is compiled of: the digest of the source and of the types beside it."""
    return hashlib.sha256(source.read_bytes() + source.with_suffix(".pxd").read_bytes()).hexdigest()


def is_compiled() -> bool:
    """Whether compiled modules are run."""
    return bool(_swapped)


def _is_of(name: str, value: object) -> bool:
    """Whether it was defined in the module of this name."""
    return getattr(value, "__module__", None) == name
