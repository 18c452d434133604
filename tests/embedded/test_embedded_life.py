"""A server lives as long as somebody has a lease on it, and keeps its data."""

import os
import signal
import threading
from pathlib import Path

import psycopg
import pytest
from embedded.programs import Acquire, Eventually, IsDown, PidOf, Query, RunProgram, Start

from keyledger.domain.errors import EmbeddedServerError


def test_a_database_is_there_at_the_first_start_and_its_data_at_the_next(
    acquire: Acquire, query: Query, new_dir: Path
) -> None:
    first = acquire(new_dir)
    query(first, "CREATE TABLE kept AS SELECT 42 AS value")
    first.release()

    assert query(acquire(new_dir), "SELECT value FROM kept") == 42


def test_the_database_is_utf8_with_utc_and_checksums(acquire: Acquire, query: Query) -> None:
    server = acquire()

    assert query(server, "SHOW server_encoding") == "UTF8"
    assert query(server, "SHOW timezone") == "UTC"
    assert query(server, "SHOW data_checksums") == "on"
    assert query(
        server, "SELECT datcollate || ' ' || datctype FROM pg_database WHERE datname = current_database()"
    ) in (
        "C C.UTF-8",
        "C UTF-8",
    )
    assert query(server, "SELECT current_user || '@' || current_database()") == "keyledger@keyledger"


def test_trigrams_keep_letters_beyond_ascii(acquire: Acquire, query: Query) -> None:
    server = acquire()
    query(server, "CREATE EXTENSION IF NOT EXISTS pg_trgm")

    assert query(server, "SELECT cardinality(show_trgm('日本語'))") == 4
    assert query(server, "SELECT show_trgm('ÜBER') = show_trgm('über')")


def test_the_last_release_returns_when_the_server_is_down(
    acquire: Acquire, is_down: IsDown, data_dir: Path
) -> None:
    server = acquire()
    assert not is_down(data_dir)

    server.release()

    assert is_down(data_dir)


def test_a_second_release_does_nothing(acquire: Acquire) -> None:
    server = acquire()
    server.release()
    server.release()


def test_two_leases_in_one_process_share_one_server(
    acquire: Acquire, query: Query, is_down: IsDown, data_dir: Path
) -> None:
    first, second = acquire(), acquire()
    assert query(first, START_TIME) == query(second, START_TIME)

    first.release()

    assert query(second, "SELECT 1") == 1
    second.release()
    assert is_down(data_dir)


def test_threads_that_acquire_at_once_share_one_server(acquire: Acquire, query: Query, data_dir: Path) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(query(acquire(), START_TIME))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 6
    assert len(set(found)) == 1


def test_two_processes_share_one_server_and_the_last_one_out_stops_it(
    start: Start, is_down: IsDown, data_dir: Path
) -> None:
    first, second = start(SAY_START_TIME), start(SAY_START_TIME)
    assert first.says() == second.says()
    assert first.says() == second.says() == "holding"

    first.go_on()
    assert first.says() == "released"
    assert not is_down(data_dir)

    second.go_on()
    assert second.says() == "released"
    assert is_down(data_dir)


def test_eight_processes_that_start_at_once_on_nothing_share_one_server(
    start: Start, is_down: IsDown, new_dir: Path
) -> None:
    programs = [start(SAY_START_TIME, path=new_dir) for _ in range(8)]
    assert len({program.says() for program in programs}) == 1
    assert {program.says() for program in programs} == {"holding"}

    for program in programs:
        program.go_on()

    assert {program.says() for program in programs} == {"released"}
    assert is_down(new_dir)


def test_a_start_during_a_stop_waits_for_its_end(start: Start, data_dir: Path) -> None:
    for _ in range(3):
        leaving = start()
        assert leaving.says() == "holding"
        leaving.go_on()
        coming = start()
        assert coming.says() == "holding"
        coming.go_on()
        assert coming.says() == leaving.says() == "released"


def test_a_program_whose_output_is_captured_ends_although_it_left_the_server_running(
    run_program: RunProgram, eventually: Eventually, is_down: IsDown, data_dir: Path
) -> None:
    assert run_program(data_dir, "print('done', flush=True); os._exit(0)") == ["done"]

    eventually(lambda: is_down(data_dir))


def test_a_forked_child_has_a_lease_of_its_own_that_outlives_the_parents(
    run_program: RunProgram, is_down: IsDown, data_dir: Path
) -> None:
    code = """
go, ready = os.pipe(), os.pipe()
if os.fork() == 0:
    server.after_fork()
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    print("child", query("SELECT 1"), flush=True)
    server.release()
    os._exit(0)
os.read(ready[0], 1)
server.release()
print("released", flush=True)
os.write(go[1], b"x")
os.wait()
"""
    assert run_program(data_dir, code) == ["released", "child", "1"]
    assert is_down(data_dir)


def test_a_forked_child_that_releases_leaves_the_parents_lease(
    run_program: RunProgram, is_down: IsDown, data_dir: Path
) -> None:
    code = """
if os.fork() == 0:
    server.after_fork()
    server.release()
    os._exit(0)
os.wait()
print("parent", query("SELECT 1"), flush=True)
server.release()
"""
    assert run_program(data_dir, code) == ["parent", "1"]
    assert is_down(data_dir)


def test_a_forked_child_that_comes_late_starts_the_server_again(
    run_program: RunProgram, is_down: IsDown, data_dir: Path
) -> None:
    code = """
go = os.pipe()
if os.fork() == 0:
    os.read(go[0], 1)
    server.after_fork()
    print("child", query("SELECT 1"), flush=True)
    server.release()
    os._exit(0)
server.release()
print("released", flush=True)
os.write(go[1], b"x")
os.wait()
"""
    assert run_program(data_dir, code) == ["released", "child", "1"]
    assert is_down(data_dir)


def test_ctrl_c_in_the_terminal_leaves_the_server_to_a_program_that_is_closing(
    start: Start, data_dir: Path
) -> None:
    program = start("""
try:
    print("holding", flush=True)
    sys.stdin.readline()
except KeyboardInterrupt:
    print("closing", query("SELECT 1"), flush=True)
    server.release()
""")
    assert program.says() == "holding"

    os.killpg(program.process.pid, signal.SIGINT)

    assert program.says() == "closing 1"
    assert program.process.wait() == 0


def test_a_new_directory_deleted_under_a_lease_does_not_hinder_the_release(
    acquire: Acquire, eventually: Eventually, pid_of_postmaster: PidOf, new_dir: Path
) -> None:
    server = acquire(new_dir)
    pid = pid_of_postmaster(new_dir)
    new_dir.rename(new_dir.with_name("gone"))

    server.release()

    eventually(lambda: not _is_alive(pid))


def test_a_running_server_is_left_as_it_is(acquire: Acquire, query: Query) -> None:
    server = acquire()
    before = query(server, START_TIME)

    server.ensure_running()

    assert query(server, START_TIME) == before


def test_a_released_lease_starts_nothing(acquire: Acquire, is_down: IsDown, data_dir: Path) -> None:
    server = acquire()
    server.release()

    with pytest.raises(EmbeddedServerError, match="released"):
        server.ensure_running()
    assert is_down(data_dir)


def test_variables_for_another_server_do_not_count(
    acquire: Acquire, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOST": "db.example",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "99",
        "PGPASSWORD": "another",
        "PGUSER": "another",
        "PGDATABASE": "another",
        "PGDATA": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)

    assert query(acquire(), "SELECT current_database()") == "keyledger"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PGOPTIONS", "-c search_path=elsewhere"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGSSLMODE", "no-such-mode"),
        ("PGSSLROOTCERT", "system"),
        ("PGGSSENCMODE", "require"),
        ("PGCHANNELBINDING", "require"),
        ("PGTARGETSESSIONATTRS", "standby"),
    ],
)
def test_how_to_talk_to_another_server_does_not_count(
    acquire: Acquire, query: Query, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    server = acquire(timeout_seconds=5)

    assert query(server, "SHOW client_encoding") == "UTF8"
    assert query(server, "SHOW search_path") == '"$user", public'


def test_a_fresh_connection_needs_the_password(acquire: Acquire) -> None:
    server = acquire()

    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.conninfo, passfile="/dev/null", connect_timeout=5)


START_TIME = "SELECT pg_postmaster_start_time()::text"
SAY_START_TIME = f"""
print(query({START_TIME!r}), flush=True)
print("holding", flush=True)
sys.stdin.readline()
server.release()
print("released", flush=True)
"""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
