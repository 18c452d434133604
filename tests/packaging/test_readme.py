"""The README's example does what it says, in the checkout and from the wheel alone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[0]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("KEYLEDGER_", "PYTHON"))
    }
    if "KEYLEDGER_POSTGRES_BIN" in os.environ:
        environment["KEYLEDGER_POSTGRES_BIN"] = os.environ["KEYLEDGER_POSTGRES_BIN"]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def assert_example_runs(python: Path | str, folder: Path) -> None:
    (folder / "example.py").write_text(EXAMPLE, "utf-8")
    printed = run(python, "example.py", cwd=folder).stdout
    assert re.search(r"only now: ak_[0-9A-Za-z]{71}\n\[\('CI deploys', .*\)\] of 1\n", printed)


def test_the_example_opens_an_embedded_ledger() -> None:
    assert "KeyLedger.open()" in EXAMPLE


def test_the_example_runs_in_the_checkout(tmp_path: Path) -> None:
    assert_example_runs(sys.executable, tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a clean environment that has the wheel with its extra, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, cwd=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-qq", f"{wheel}[embedded]", cwd=folder)
    return python


@pytest.mark.xdist_group("wheel")
def test_the_wheel_alone_runs_the_example(installed: Path, tmp_path: Path) -> None:
    assert_example_runs(installed, tmp_path)


@pytest.mark.xdist_group("wheel")
def test_the_wheel_adds_one_import_package(installed: Path, tmp_path: Path) -> None:
    listing = "import importlib.metadata as m; print({f.parts[0] for f in m.files('keyledger')})"
    parts = run(installed, "-c", listing, cwd=tmp_path).stdout
    assert set(re.findall(r"'([^']+)'", parts)) == {"keyledger", "keyledger-0.1.0.dist-info", ".."}


@pytest.mark.xdist_group("wheel")
def test_the_wheel_has_the_command_and_every_sql_file(installed: Path, tmp_path: Path) -> None:
    assert "keys" in run(installed.with_name("keyledger"), "--help", cwd=tmp_path).stdout
    counting = (
        "from keyledger.infrastructure.queries import QUERIES\n"
        "from keyledger.infrastructure.schema import CURRENT\n"
        "print(len(QUERIES), CURRENT)"
    )
    here = [len(list((ROOT / "infrastructure" / folder).glob("*.sql"))) for folder in ("sql", "migrations")]
    assert run(installed, "-c", counting, cwd=tmp_path).stdout.split() == [str(count) for count in here]
