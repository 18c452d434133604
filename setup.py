"""Compiles the modules beside which a `.pxd` lies, where there is a C compiler.

Each is compiled as a module of its own with an underscore before its name: `recall.py` as `_recall`. What is
compiled is the very source, so there is one of everything; where nothing could be compiled, the source is run.
All else about the package is in pyproject.toml.
"""

import hashlib
from pathlib import Path

from setuptools import Extension, setup

try:
    from Cython.Build import cythonize
except ImportError:  # then nothing is compiled
    cythonize = None

FLAGS = ["-O2", "-g0", "-fno-plt", "-fno-semantic-interposition"]
HERE = Path(__file__).parent
MADE = Path("build/compiled")
ROOMS = {"domain": "keyledger.domain", "infrastructure": "keyledger.infrastructure", "keyledger": "keyledger"}
CLOCK = "keyledger.infrastructure.verifying.boottime"
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "nonecheck": True,
    "overflowcheck": True,
    "auto_pickle": False,
    "binding": False,
    "initializedcheck": False,
}


def extension(declared: Path) -> Extension:
    """The one of a `.pxd`. Its source is a copy, with a last line that says what it was made of."""
    room, *folders = declared.parent.parts
    copied = MADE.joinpath(*ROOMS[room].split("."), *folders, f"_{declared.stem}")
    copied.parent.mkdir(parents=True, exist_ok=True)
    source, types = (HERE / declared.with_suffix(".py")).read_bytes(), (HERE / declared).read_bytes()
    stamp = hashlib.sha256(source + types).hexdigest()  # as keyledger.compiled has it
    compiled = source.replace(b"from keyledger.directives import", b"from cython import")
    copied.with_suffix(".py").write_bytes(compiled + f"\n\nMADE_FROM = {stamp!r}\n".encode())
    copied.with_suffix(".pxd").write_bytes(types)
    name = ".".join(copied.relative_to(MADE).parts)
    return Extension(name, [str(copied.with_suffix(".py"))], extra_compile_args=FLAGS)


def clock() -> Extension:
    """The one that has no source in Python: where it could not be compiled, Python's own clock does."""
    copied = MADE.joinpath(*CLOCK.split(".")).with_suffix(".pyx")
    copied.parent.mkdir(parents=True, exist_ok=True)
    copied.write_bytes((HERE / "infrastructure/verifying/boottime.pyx").read_bytes())
    return Extension(CLOCK, [str(copied)], extra_compile_args=FLAGS)


def extensions() -> list[Extension]:
    """One for each `.pxd`."""
    if cythonize is None:
        return []
    found = [path.relative_to(HERE) for room in ROOMS for path in sorted((HERE / room).rglob("*.pxd"))]
    made = cythonize(
        [extension(declared) for declared in found] + [clock()],
        compiler_directives=DIRECTIVES,
        include_path=[str(MADE)],
        quiet=True,
    )
    for one in made:  # here, as cythonize drops it
        one.optional = True
    return made


setup(ext_modules=extensions())
