"""Kill -9 of anything leaves neither a server for ever, nor lost data, nor harm to a stranger."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from embedded.programs import Acquire, Eventually, IsDown, Kill, PidOf, Query, Start

from keyledger.domain.errors import EmbeddedServerError


def test_the_server_goes_away_when_its_only_user_is_killed(
    start: Start, eventually: Eventually, is_down: IsDown, data_dir: Path
) -> None:
    program = start()
    assert program.says() == "holding"

    program.kill()

    eventually(lambda: is_down(data_dir))


def test_the_server_stays_for_the_others_when_a_user_is_killed(
    start: Start, acquire: Acquire, query: Query, data_dir: Path
) -> None:
    server, program = acquire(), start()
    assert program.says() == "holding"
    before = query(server, "SELECT pg_postmaster_start_time()")

    program.kill()

    assert query(server, "SELECT pg_postmaster_start_time()") == before


def test_after_a_killed_user_the_next_one_starts_at_once(
    start: Start, acquire: Acquire, query: Query, data_dir: Path
) -> None:
    for _ in range(3):
        program = start()
        assert program.says() == "holding"
        program.kill()
        server = acquire()
        assert query(server, "SELECT 1") == 1
        server.release()


def test_committed_data_is_there_after_the_postmaster_was_killed(
    acquire: Acquire, query: Query, kill_postmaster: Kill, data_dir: Path
) -> None:
    server = acquire()
    query(server, "CREATE TABLE committed AS SELECT generate_series(1, 1000)")
    kill_postmaster(data_dir)

    assert query(acquire(), "SELECT count(*) FROM committed") == 1000


def test_a_lease_survives_a_killed_postmaster(
    acquire: Acquire, query: Query, kill_postmaster: Kill, is_down: IsDown, data_dir: Path
) -> None:
    server = acquire()
    query(server, "CREATE TABLE leased AS SELECT 1")
    kill_postmaster(data_dir)

    server.ensure_running()

    assert query(server, "SELECT count(*) FROM leased") == 1
    server.release()
    assert is_down(data_dir)


def test_eight_leases_restart_a_killed_server_once(
    acquire: Acquire, query: Query, kill_postmaster: Kill, data_dir: Path
) -> None:
    servers = [acquire() for _ in range(8)]
    kill_postmaster(data_dir)

    threads = [threading.Thread(target=server.ensure_running) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({query(server, "SELECT pg_postmaster_start_time()") for server in servers}) == 1


def test_a_busy_backend_that_outlives_the_postmaster_is_waited_for(
    acquire: Acquire, query: Query, eventually: Eventually, kill_postmaster: Kill, data_dir: Path
) -> None:
    server = acquire()
    query(server, "CREATE TABLE busy AS SELECT 1")
    with contextlib.closing(psycopg.connect(server.conninfo)) as busy:
        # It notices the postmaster's death only when it has counted to the end.
        work = threading.Thread(
            target=_ignore_loss, args=(busy, "SELECT count(*) FROM generate_series(1, 4000000)")
        )
        work.start()
        eventually(
            lambda: query(server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate%'") == 2
        )
        kill_postmaster(data_dir)

        server.ensure_running()
        work.join()

    assert query(server, "SELECT count(*) FROM busy") == 1


def test_a_stale_process_number_that_another_process_has_now_harms_nobody(
    start: Start,
    acquire: Acquire,
    query: Query,
    eventually: Eventually,
    kill_postmaster: Kill,
    is_down: IsDown,
    data_dir: Path,
) -> None:
    program = start()
    assert program.says() == "holding"
    kill_postmaster(data_dir)
    program.kill()
    eventually(lambda: is_down(data_dir))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        for stale in (data_dir / "cluster" / "postmaster.pid", data_dir / "socket" / ".s.PGSQL.5432.lock"):
            stale.write_text("\n".join([str(stranger.pid), *stale.read_text().splitlines()[1:]]) + "\n")

        server = acquire()

        assert query(server, "SELECT 1") == 1
        server.release()
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_number_cut_short_by_a_crash_does_not_hinder_the_start(
    acquire: Acquire, query: Query, kill_postmaster: Kill, eventually: Eventually, is_down: IsDown, data_dir: Path
) -> None:
    server = acquire()
    kill_postmaster(data_dir)
    eventually(lambda: is_down(data_dir))
    (data_dir / "cluster" / "postmaster.pid").write_text("")

    server.ensure_running()

    assert query(server, "SELECT 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_the_server_does_not_outlive_its_supervisor(
    acquire: Acquire,
    query: Query,
    eventually: Eventually,
    is_down: IsDown,
    pid_of_postmaster: PidOf,
    data_dir: Path,
) -> None:
    server = acquire()
    os.kill(_parent_of(pid_of_postmaster(data_dir)), signal.SIGKILL)
    eventually(lambda: is_down(data_dir))

    server.ensure_running()

    assert query(server, "SELECT 1") == 1


def test_an_initdb_cut_short_is_done_again(
    start: Start, acquire: Acquire, query: Query, eventually: Eventually, new_dir: Path
) -> None:
    program = start(path=new_dir)
    eventually((new_dir / "initdb.tmp" / "cluster" / "base").exists)
    program.kill()
    assert not (new_dir / "cluster").exists()

    server = acquire(new_dir)

    assert query(server, "SELECT 1") == 1
    assert not (new_dir / "initdb.tmp").exists()


def test_a_program_killed_at_any_moment_of_its_start_leaves_a_usable_directory(
    start: Start, acquire: Acquire, query: Query, eventually: Eventually, new_dir: Path
) -> None:
    for moment in (
        "start.lock",
        "initdb.tmp/password",
        "passfile",
        "cluster",
        "server.log",
        "cluster/postmaster.pid",
    ):
        program = start(path=new_dir)
        eventually((new_dir / moment).exists)
        program.kill()

    assert query(acquire(new_dir), "SELECT 1") == 1


def test_signals_to_everybody_leave_the_stop_to_the_leases(
    acquire: Acquire,
    query: Query,
    pid_of_postmaster: PidOf,
    eventually: Eventually,
    is_down: IsDown,
    data_dir: Path,
) -> None:
    server = acquire()
    if sys.platform == "linux":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(_parent_of(pid_of_postmaster(data_dir)), number)

    assert query(server, "SELECT 1") == 1
    server.release()
    assert is_down(data_dir)


def test_a_server_that_does_not_answer_is_given_up_at_the_time_out(
    acquire: Acquire, pid_of_postmaster: PidOf, data_dir: Path
) -> None:
    acquire()
    pid = pid_of_postmaster(data_dir)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedServerError, match=r"(?s)did not answer within 0\.5 s.*ready to accept"):
            acquire(timeout_seconds=0.5)
    finally:
        os.kill(pid, signal.SIGCONT)


def _ignore_loss(connection: psycopg.Connection, query: str) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        connection.execute(query)


def _parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])
