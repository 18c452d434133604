"""What is compiled is the source that lies here, and without it all is the same."""

import gc
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from keyledger import Use, compiled
from keyledger.infrastructure.uses.pending import waiting
from keyledger.infrastructure.verifying.clock import monotonic

ROOT = Path(__file__).parents[2]
ROOMS = {"domain": "keyledger.domain", "infrastructure": "keyledger.infrastructure", "keyledger": "keyledger"}
TYPES = sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.pxd"))

is_compiled = pytest.mark.skipif(
    bool(os.environ.get(compiled.SWITCH)) or shutil.which(str(sysconfig.get_config_var("CC")).split()[0]) is None,
    reason=f"{compiled.SWITCH} is set, or there is no compiler",
)


def module_of(types: Path) -> str:
    room, *folders = types.parent.parts
    return ".".join([ROOMS[room], *folders, types.stem])


@is_compiled
@pytest.mark.parametrize("types", TYPES, ids=str)
def test_all_that_a_module_has_of_its_own_is_the_compiled_one_s(types: Path) -> None:
    module = import_module(module_of(types))
    package, _, name = module.__name__.rpartition(".")

    makers = {getattr(value, "__module__", None) for value in vars(module).values()}

    assert f"{package}._{name}" in makers, "after a change of it, `scripts/setup dev` compiles it anew"
    assert module.__name__ not in makers


@is_compiled
def test_the_garbage_collector_knows_nothing_of_uses_that_wait() -> None:
    assert not gc.is_tracked(waiting(1, 2, 3, "valid", Use()))


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the clock is not there")
@is_compiled
def test_the_clock_of_leases_is_compiled_and_runs_on_while_the_machine_is_suspended() -> None:
    assert monotonic.__module__ == "keyledger.infrastructure.verifying.boottime"

    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = monotonic()

    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize("types", TYPES, ids=str)
def test_nothing_compiled_is_run_where_the_environment_says_so(types: Path) -> None:
    assert loaded_as_source(module_of(types), f"._{types.stem}") == "[]\n"


def test_the_clock_is_python_s_own_where_the_environment_says_so() -> None:
    assert loaded_as_source("keyledger.infrastructure.verifying.clock", ".boottime") == "[]\n"


def loaded_as_source(module: str, ending: str) -> str:
    """What is loaded with a module where nothing compiled is to be run, of those whose names end so."""
    program = f"import sys, {module}; print([n for n in sys.modules if n.endswith({ending!r})])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, compiled.SWITCH: "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_where_nothing_was_compiled_the_source_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "keyledger.infrastructure.uses.pending"
    module = import_module(name)
    before = module.take
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    monkeypatch.setitem(sys.modules, "keyledger.infrastructure.uses._pending", None)

    compiled.prefer_compiled(name)

    assert module.take is before


def test_what_was_compiled_of_another_source_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "keyledger.infrastructure.uses.pending"
    module = import_module(name)
    before = module.take
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    monkeypatch.setattr(module, "take", before)
    stale = ModuleType("keyledger.infrastructure.uses._pending")
    vars(stale).update(MADE_FROM="another", take=lambda: None)
    stale.take.__module__ = stale.__name__
    monkeypatch.setitem(sys.modules, stale.__name__, stale)

    compiled.prefer_compiled(name)

    assert module.take is before


def test_what_was_compiled_of_this_source_is(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "keyledger.infrastructure.uses.pending"
    module = import_module(name)
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    monkeypatch.setattr(module, "take", None)
    made = ModuleType("keyledger.infrastructure.uses._pending")
    vars(made).update(MADE_FROM=compiled.stamp(Path(str(module.__file__))), take=lambda: None)
    made.take.__module__ = made.__name__
    monkeypatch.setitem(sys.modules, made.__name__, made)

    compiled.prefer_compiled(name)

    assert module.take is made.take


def test_a_compiler_that_fails_stops_no_installation(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".*", "build", "*.so", "__pycache__")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=ignored)

    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-lib", str(tmp_path / "built")],
        cwd=checkout,
        env={**os.environ, "CC": "/bin/false"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("building extension") == len(TYPES) + 1  # and the clock
    assert not list(tmp_path.rglob("*.so"))
