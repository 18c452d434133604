"""`scripts/bench --peers`: what it installs, what it says when it cannot, and how it asks a contender."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmarks import report
from scripts.benchmarks.measure import Figures
from scripts.benchmarks.peers.contender import contender
from scripts.benchmarks.peers.errors import PeerUnavailable
from scripts.benchmarks.peers.installing import SOURCES, install

ROOT = Path(__file__).parents[2]
SERVING = "from scripts.benchmarks.peers.serving import asked, serve; "


def python(code: str) -> list[str | Path]:
    return [sys.executable, "-c", code]


def test_without_npm_it_says_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.benchmarks", "--peers"]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "`node` is not on PATH: better-auth needs Node.js" in done.stderr


def test_without_an_index_it_says_so_and_leaves_nothing_that_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(PeerUnavailable, match="`pip install` failed; it needs a package index"):
        install(tmp_path / "peers")
    assert not list(tmp_path.rglob(".ready"))


def test_the_peers_are_pinned_and_their_lock_names_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text("utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages["node_modules/better-auth"]["version"] == "1.7.5"
    assert packages["node_modules/@better-auth/api-key"]["version"] == "1.7.5"
    assert all("integrity" in package and "resolved" not in package for package in packages.values())


def test_a_turn_is_the_calls_that_were_asked_for_without_those_that_warm_up() -> None:
    code = f"{SERVING}keys = asked()['keys']; serve(f'made {{keys}}', lambda _: None)"
    with contender("one", python(code), "dbname=any", keys=3) as one:
        assert one.versions == "made 3"
        assert [len(one.turn(20)), len(one.turn(10))] == [20, 10]


def test_a_contender_whose_key_is_refused_ends_the_comparison() -> None:
    code = f"{SERVING}asked(); serve('refusing', lambda number: 1 / (5 - number))"
    with (
        contender("one", python(code), "dbname=any", keys=1) as one,
        pytest.raises(PeerUnavailable, match="the program of one ended"),
    ):
        one.turn(10)


def test_the_table_says_which_goal_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {
        name: Figures.of([cost, cost]) for name, cost in (("ours", 2.0), ("slow", 300.0), ("slower", 999.0))
    }
    report.latency("verify", figures, most={}, least={"slow": 150, "slower": 500})
    assert ["at least 150: met" in line for line in capsys.readouterr().out.splitlines() if "slow " in line] == [
        True
    ]
    report.latency("verify", figures, most={}, least={"slower": 500})
    assert "at least 500: MISSED" in capsys.readouterr().out
