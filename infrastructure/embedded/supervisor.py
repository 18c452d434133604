"""The parent of the postmaster: it stops the server when the last lease is gone, however that came about.

A program of its own, run by its path with nothing but the standard library:

    supervisor.py LEASE_FILE SERVER_LOCK_FILE CLUSTER SOCKET_FOLDER UID:GID|- POSTGRES ARGUMENT…

It ends with status 0 as soon as its child, which does the work, holds the server lock. Every process of the
server inherits that lock, so it is free exactly when the last of them is gone: no process number is trusted.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

PATIENCE = 60.0
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Start the server, detached from the caller, and stay with it to its end."""
    lease, lock, cluster, sockets, account, *command = arguments
    lock_fd, lease_fd = os.open(lock, os.O_RDWR), os.open(lease, os.O_RDWR)
    fcntl.flock(lock_fd, fcntl.LOCK_EX)
    if os.fork():
        os._exit(0)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stay)
    postmaster = _start(command, account, Path(cluster), lock_fd)
    threading.Thread(target=_stop_when_unused, args=(lease_fd, postmaster), daemon=True).start()
    postmaster.wait()
    # It may be in a public place. Nobody starts a server that needs it while this process has the lock.
    with suppress(OSError):
        Path(sockets).rmdir()
    os._exit(0)  # the other thread may wait for the leases for ever


def _start(command: list[str], account: str, cluster: Path, lock_fd: int) -> subprocess.Popen[bytes]:
    uid, _, gid = account.partition(":")
    return subprocess.Popen(  # noqa: S603 - the command of the library that started this program
        command,
        env={**os.environ, **_pardon_stale_pid(cluster / "postmaster.pid")},
        pass_fds=(lock_fd,),
        preexec_fn=_end_with_parent,
        user=int(uid) if gid else None,
        group=int(gid) if gid else None,
        extra_groups=[] if gid else None,
    )


def _pardon_stale_pid(pid_file: Path) -> dict[str, str]:
    """Keep the postmaster from taking an unrelated process with the number in `pid_file` for a server.

    PostgreSQL ignores the number that pg_ctl puts into this variable. It still refuses to start while the
    shared memory named in the same file is in use, which is the truth about a living server.
    """
    try:
        number = pid_file.read_text().partition("\n")[0].strip().lstrip("-")
    except FileNotFoundError:
        return {}
    if number.isdigit():
        return {"PG_GRANDPARENT_PID": number}
    pid_file.unlink()  # cut short by a crash while it was written
    return {}


def _end_with_parent() -> None:
    # If this supervisor is killed the server must not run for ever; elsewhere than Linux there is no such call.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _stop_when_unused(lease_fd: int, postmaster: subprocess.Popen[bytes]) -> None:
    fcntl.flock(lease_fd, fcntl.LOCK_EX)
    postmaster.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
    time.sleep(PATIENCE)
    postmaster.send_signal(signal.SIGQUIT)  # without a checkpoint; the next start recovers


def _stay(number: int, frame: FrameType | None) -> None:
    """Outlive the signals that end a group of processes: the leases decide."""


if __name__ == "__main__":
    main(sys.argv[1:])
