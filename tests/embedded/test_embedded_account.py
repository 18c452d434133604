"""As root the server runs in a user namespace, or as another account."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from embedded.programs import Acquire, Eventually, IsDown, PidOf, Query, Start

from keyledger import KeyLedger
from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded import account as accounts
from keyledger.infrastructure.embedded.binaries import find_binaries

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
needs_namespace = pytest.mark.skipif(
    os.geteuid() != 0 or not accounts.namespace_available(),
    reason="only for root, where user namespaces are allowed",
)


@pytest.fixture
def no_namespace(monkeypatch: pytest.MonkeyPatch) -> pwd.struct_passwd:
    """Forbid user namespaces, and return the account that takes their place."""
    monkeypatch.setattr(accounts, "namespace_available", lambda: False)
    spare = accounts._find_spare_account()
    _skip_unless_reachable(spare.pw_uid)
    return spare


def _skip_unless_reachable(uid: int, program: Path | None = None) -> None:
    program = program or find_binaries(None).postgres
    answer = subprocess.run(["test", "-x", str(program)], user=uid, group=uid, extra_groups=[], cwd="/")
    if answer.returncode:
        pytest.skip(f"{program} is out of reach for other accounts")


@needs_namespace
def test_in_a_namespace_the_files_stay_roots_in_a_place_that_only_root_can_reach(
    acquire: Acquire, query: Query, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    server = acquire(closed / "d")

    assert query(server, "SELECT 1") == 1
    assert {path.lstat().st_uid for path in closed.rglob("*")} == {0}
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_without_namespaces_the_server_runs_as_a_spare_account(
    acquire: Acquire, query: Query, pid_of_postmaster: PidOf, no_namespace: pwd.struct_passwd, open_place: Path
) -> None:
    path = open_place / "d"

    server = acquire(path)

    assert query(server, "SELECT 1") == 1
    assert {p.lstat().st_uid for p in [path, *path.rglob("*")]} == {no_namespace.pw_uid}
    assert _runs_as(pid_of_postmaster(path)) == no_namespace.pw_uid
    assert open_place.stat().st_uid == 0


def test_the_spare_account_is_found_again(
    acquire: Acquire, query: Query, no_namespace: pwd.struct_passwd, open_place: Path
) -> None:
    first = acquire(open_place / "d")
    query(first, "CREATE TABLE kept AS SELECT 1 AS value")
    first.release()

    assert query(acquire(open_place / "d"), "SELECT value FROM kept") == 1


def test_a_spare_accounts_directory_is_still_its_own_where_namespaces_are_allowed(
    acquire: Acquire,
    query: Query,
    no_namespace: pwd.struct_passwd,
    open_place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acquire(open_place / "d").release()
    monkeypatch.undo()

    assert query(acquire(open_place / "d"), "SELECT 1") == 1


@needs_namespace
def test_a_directory_made_in_a_namespace_is_given_to_the_spare_account(
    acquire: Acquire, query: Query, open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = acquire(open_place / "d")
    query(first, "CREATE TABLE kept AS SELECT 1 AS value")
    first.release()
    monkeypatch.setattr(accounts, "namespace_available", lambda: False)
    _skip_unless_reachable(accounts._find_spare_account().pw_uid)

    assert query(acquire(open_place / "d"), "SELECT value FROM kept") == 1


def test_a_killed_user_leaves_no_server_of_the_spare_account(
    start: Start, eventually: Eventually, is_down: IsDown, no_namespace: pwd.struct_passwd, open_place: Path
) -> None:
    # Once the account owns the directory, the program finds it there.
    (open_place / "d").mkdir()
    os.chown(open_place / "d", no_namespace.pw_uid, no_namespace.pw_gid)
    program = start(path=open_place / "d")
    assert program.says() == "holding"

    program.kill()

    eventually(lambda: is_down(open_place / "d"))


def test_a_place_out_of_the_spare_accounts_reach_is_refused_and_not_given_away(
    acquire: Acquire, no_namespace: pwd.struct_passwd, data_dir: Path
) -> None:
    with pytest.raises(EmbeddedServerError, match="choose a data_dir"):
        acquire()

    assert data_dir.stat().st_uid == 0


def test_a_directory_with_other_files_is_not_given_away(
    acquire: Acquire, no_namespace: pwd.struct_passwd, open_place: Path
) -> None:
    (open_place / "d").mkdir()
    (open_place / "d" / "letter").touch()

    with pytest.raises(EmbeddedServerError, match="letter"):
        acquire(open_place / "d")

    assert (open_place / "d").stat().st_uid == 0


def test_without_any_spare_account_the_error_says_what_to_do(
    acquire: Acquire, monkeypatch: pytest.MonkeyPatch, open_place: Path
) -> None:
    monkeypatch.setattr(accounts, "namespace_available", lambda: False)
    monkeypatch.setattr(accounts, "SPARE_ACCOUNTS", ("no-such-account",))

    with pytest.raises(EmbeddedServerError, match="run as an ordinary user, or give a DSN"):
        acquire(open_place / "d")


@pytest.fixture
def nobodys_dir(open_place: Path) -> tuple[Path, int]:
    """An empty data directory of another account, and that account."""
    owner = pwd.getpwnam("nobody")
    _skip_unless_reachable(owner.pw_uid)
    path = open_place / "d"
    path.mkdir(mode=0o700)
    os.chown(path, owner.pw_uid, owner.pw_gid)
    return path, owner.pw_uid


def test_in_another_accounts_directory_all_that_root_makes_is_that_accounts(
    acquire: Acquire, nobodys_dir: tuple[Path, int]
) -> None:
    path, owner = nobodys_dir

    acquire(path).release()

    assert {p.lstat().st_uid for p in [path, *path.rglob("*")]} == {owner}


def test_the_owner_can_go_on_after_root_was_there(
    acquire: Acquire, start: Start, nobodys_dir: tuple[Path, int]
) -> None:
    path, owner = nobodys_dir
    _skip_unless_reachable(owner, Path(sys.executable))
    acquire(path).release()

    program = start(path=path, uid=owner)

    assert program.says() == "holding"
    program.go_on()
    assert program.says() == "released"


def test_the_pepper_that_root_makes_is_the_owners(nobodys_dir: tuple[Path, int]) -> None:
    path, owner = nobodys_dir

    KeyLedger.open(data_dir=path).close()

    assert {p.lstat().st_uid for p in [path, *path.rglob("*")]} == {owner}
    assert subprocess.run(
        ["cat", str(path / "pepper")], user=owner, group=owner, stdout=subprocess.DEVNULL, check=True
    )


@needs_namespace
def test_a_pepper_made_in_a_namespace_is_given_to_the_spare_account(
    acquire: Acquire, open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = open_place / "d"
    KeyLedger.open(data_dir=path).close()
    assert (path / "pepper").stat().st_uid == 0
    monkeypatch.setattr(accounts, "namespace_available", lambda: False)
    spare = accounts._find_spare_account()
    _skip_unless_reachable(spare.pw_uid)

    acquire(path).release()

    assert (path / "pepper").stat().st_uid == spare.pw_uid


def _runs_as(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("Uid:")[2].split()[0])
