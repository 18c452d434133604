"""The data directory is private, and its secret stays in one file."""

import stat
import sys
from pathlib import Path

import psycopg
import pytest
from embedded.programs import Acquire, Eventually, IsDown, PidOf, Query, Start

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded import log, socket_folder
from keyledger.infrastructure.embedded.data_folder import DataFolder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_private_and_so_are_files(acquire: Acquire, new_dir: Path) -> None:
    acquire(new_dir)

    assert {mode(new_dir), mode(new_dir / "cluster"), mode(new_dir / "socket")} == {0o700}
    assert {mode(path) for path in new_dir.iterdir() if path.is_file()} == {0o600}


def test_no_existing_folder_changes_its_mode(acquire: Acquire, tmp_path: Path) -> None:
    parent, existing = tmp_path / "p", tmp_path / "p" / "e"
    existing.mkdir(parents=True)
    parent.chmod(0o751)
    existing.chmod(0o750)

    acquire(existing).release()

    assert (mode(parent), mode(existing)) == (0o751, 0o750)


@pytest.mark.parametrize("left", ["lost+found", ".gitignore", "initdb.tmp", "passfile.new", "start.lock"])
def test_what_a_file_system_or_an_interrupted_start_left_is_no_obstacle(
    acquire: Acquire, tmp_path: Path, left: str
) -> None:
    existing = tmp_path / "e"
    existing.mkdir()
    (existing / left).mkdir() if left in ("lost+found", "initdb.tmp") else (existing / left).touch()

    acquire(existing).release()

    assert (existing / "cluster").is_dir()


def test_a_folder_of_other_things_gets_no_cluster(acquire: Acquire, tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "notes").touch()

    with pytest.raises(EmbeddedServerError, match=r"holds no ledger but other things \(notes\)"):
        acquire(tmp_path / "e")

    assert [path.name for path in (tmp_path / "e").iterdir()] == ["notes"]


def test_missing_parents_are_made_with_the_usual_mode(acquire: Acquire, tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()

    acquire(tmp_path / "a" / "b").release()

    assert mode(tmp_path / "a") == mode(usual)
    assert mode(tmp_path / "a" / "b") == 0o700


def test_the_password_is_in_no_other_place_than_its_file(
    acquire: Acquire, pid_of_postmaster: PidOf, data_dir: Path
) -> None:
    server = acquire()
    password = (data_dir / "passfile").read_text().strip().rpartition(":")[2]

    assert len(password) >= 40
    assert password not in server.conninfo
    holders = [path for path in data_dir.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert holders == [data_dir / "passfile"]
    if sys.platform == "linux":
        process = Path("/proc") / str(pid_of_postmaster(data_dir))
        assert password.encode() not in (process / "cmdline").read_bytes()


def test_the_callers_secrets_are_not_in_the_servers_environment(
    acquire: Acquire, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "precious")
    server = acquire()

    assert (
        query(server, "SELECT position('precious' in encode(pg_read_binary_file('/proc/self/environ'), 'escape'))")
        == 0
    )


def test_each_data_directory_has_a_password_of_its_own(acquire: Acquire, tmp_path: Path) -> None:
    for name in "ab":
        acquire(tmp_path / name).release()

    assert (tmp_path / "a" / "passfile").read_text() != (tmp_path / "b" / "passfile").read_text()


def test_no_parameter_reaches_the_log(acquire: Acquire, data_dir: Path) -> None:
    server = acquire()
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE unique_values (value text PRIMARY KEY)")
        connection.execute("INSERT INTO unique_values VALUES (%s)", ["precious"])
        for statement in ("INSERT INTO unique_values VALUES (%s)", "SELECT %s::text::integer", "SELECT 1 / 0, %s"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement, ["precious"])

    assert "precious" not in (data_dir / "server.log").read_text()


def test_the_log_is_put_aside_when_it_has_grown(acquire: Acquire, data_dir: Path) -> None:
    acquire().release()
    (data_dir / "server.log").write_text("x" * (log.LARGEST + 1))

    acquire().release()

    assert (data_dir / "server.log").stat().st_size < 10_000
    assert (data_dir / "server.log.1").stat().st_size == log.LARGEST + 1


@pytest.mark.parametrize(
    "name", ["n" * 120, "a,b", 'quo"ted', "with space", "percent%20", "back\\slash", "quo'te", "ü"]
)
def test_a_data_directory_may_have_any_name(acquire: Acquire, query: Query, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    server = acquire(path)

    assert query(server, "SELECT current_database()") == "keyledger"
    server.release()


def test_another_process_finds_the_socket_of_a_long_path(
    acquire: Acquire, query: Query, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("n" * 120)
    program = start(path=path)
    assert program.says() == "holding"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    server = acquire(path)

    assert query(server, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == 1
    program.go_on()
    assert program.says() == "released"
    server.release()


def test_the_last_one_out_leaves_no_socket_folder_outside(acquire: Acquire, tmp_path: Path) -> None:
    path = tmp_path / ("n" * 120)
    first, second = acquire(path), acquire(path)
    outside = (path / "socket").readlink()

    first.release()
    assert outside.exists()
    second.release()

    assert not outside.exists()


def test_a_killed_user_leaves_no_socket_folder_outside(
    start: Start, eventually: Eventually, is_down: IsDown, tmp_path: Path
) -> None:
    path = tmp_path / ("n" * 120)
    program = start(path=path)
    assert program.says() == "holding"
    outside = (path / "socket").readlink()
    assert outside.exists()

    program.kill()

    eventually(lambda: is_down(path))
    assert not outside.exists()


def test_a_socket_folder_that_was_cleared_away_is_made_again(
    acquire: Acquire, query: Query, tmp_path: Path
) -> None:
    path = tmp_path / ("n" * 120)
    acquire(path).release()
    assert not (path / "socket").exists()

    server = acquire(path)

    assert query(server, "SELECT 1") == 1
    server.release()


@pytest.mark.parametrize("plant", ["link", "file", "open"])
def test_a_short_socket_folder_that_is_not_ours_is_refused(acquire: Acquire, tmp_path: Path, plant: str) -> None:
    path = tmp_path / ("n" * 120)
    path.mkdir()
    planted = socket_folder.locate(DataFolder(path))
    try:
        _plant(planted, plant, tmp_path)
        with pytest.raises(EmbeddedServerError, match="not a private folder"):
            acquire(path)
    finally:
        planted.rmdir() if plant == "open" else planted.unlink()


def _plant(path: Path, plant: str, tmp_path: Path) -> None:
    if plant == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "elsewhere")
    elif plant == "file":
        path.touch(0o600)
    else:
        path.mkdir()
        path.chmod(0o777)
