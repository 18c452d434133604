"""The account that the server runs as: PostgreSQL refuses to run as root."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keyledger.domain.errors import EmbeddedServerError
from keyledger.infrastructure.embedded import program
from keyledger.infrastructure.embedded.binaries import Binaries
from keyledger.infrastructure.embedded.data_folder import DataFolder, give_away
from keyledger.infrastructure.embedded.lock import Deadline

if sys.platform != "win32":
    import pwd

SPARE_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """How to start a program that must not be root: behind `prefix`, or as `uid` and `gid`."""

    name: str
    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def run(
        self, command: Sequence[str], deadline: Deadline, *, inherit: Iterable[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` to its end and return its output; raises EmbeddedServerError at `deadline`."""
        return program.run(
            [*self.prefix, *command],
            seconds=deadline.remaining(),
            uid=self.uid,
            gid=self.gid,
            inherit=inherit,
        )

    def require(self, right: str, path: Path, deadline: Deadline) -> None:
        """Raise EmbeddedServerError unless the account has the `right` ("-x" or "-w") to `path`."""
        # Asked of the system, as that account: modes alone say nothing of access lists and name spaces.
        answer = self.run(["/bin/sh", "-c", f'test {right} "$1"', "sh", str(path)], deadline)
        if answer.returncode != 0:
            verb = {"-x": "reach", "-w": "write to"}[right]
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and {self.name} may not {verb} {path}: choose a data_dir (and"
                " programs) in a place that this account can reach, run as an ordinary user, or give a DSN"
            )


def choose_account(folder: DataFolder, binaries: Binaries, deadline: Deadline) -> Account:
    """Return the account for the server in `folder`; a spare account comes to own the data directory.

    An ordinary user's own account; for root, the owner of the data directory, else root in a user namespace,
    else a spare account. Raises EmbeddedServerError when that account cannot do the work there.
    """
    if os.geteuid() != 0:
        return Account("this user")
    owner = folder.path.stat()
    if owner.st_uid != 0:
        account = Account(f"the account {_name_of(owner.st_uid)}", uid=owner.st_uid, gid=owner.st_gid)
    elif namespace_available():
        account = Account("root in a user namespace", prefix=_namespace_prefix())
    else:
        account = _install_spare_account(folder, deadline)
    account.require("-w", folder.path, deadline)
    account.require("-x", binaries.postgres, deadline)
    return account


def namespace_available() -> bool:
    """Return whether root may make a user namespace in which it has another number."""
    if shutil.which("unshare") is None:
        return False
    return program.run([*_namespace_prefix(), "true"]).returncode == 0


def _namespace_prefix() -> tuple[str, ...]:
    # initdb looks the number up in the account database, so it must be one that is there.
    entry = min((e for e in pwd.getpwall() if e.pw_uid != 0), key=lambda e: e.pw_uid)
    return ("unshare", "--user", f"--map-user={entry.pw_uid}", f"--map-group={entry.pw_gid}", "--")


def _install_spare_account(folder: DataFolder, deadline: Deadline) -> Account:
    entry = _find_spare_account()
    account = Account(f"the account {entry.pw_name}", uid=entry.pw_uid, gid=entry.pw_gid)
    # Before anything is given away: what cannot be reached anyway stays root's.
    account.require("-x", folder.path.parent, deadline)
    _require_only_ours(folder, account)
    give_away(folder, entry.pw_uid, entry.pw_gid)
    return account


def _find_spare_account() -> "pwd.struct_passwd":
    for name in SPARE_ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, user namespaces are not allowed here, and there is no account"
        f" {' or '.join(SPARE_ACCOUNTS)}: run as an ordinary user, or give a DSN"
    )


def _require_only_ours(folder: DataFolder, account: Account) -> None:
    ours = {path.name for path in folder.own_entries()}
    strangers = sorted(path.name for path in folder.path.iterdir() if path.name not in ours)
    if strangers and not folder.cluster.exists():
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and {folder.path} is not given to {account.name} because it holds"
            f" other files ({strangers[0]}): choose an empty data_dir, run as an ordinary user, or give a DSN"
        )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
