"""Every knob, typed, with its unit in its name."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from keyledger.domain import arguments
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import InvalidArgument
from keyledger.infrastructure.embedded.data_folder import DataFolder
from keyledger.infrastructure.uses.use_recorder import Durability

PEPPERS_VARIABLE = "KEYLEDGER_PEPPERS"
LEASE_MOST_SECONDS = 10.0
SPOOL_DIR_VARIABLE = "KEYLEDGER_SPOOL_DIR"

_PEPPERS_ALLOWED = (
    "ID:BASE64, several with commas between them: an id of 1 to 32 of A-Z a-z 0-9 . _ -, and not 'none', and the"
    ' base64 of at least 32 random bytes; such as "2026:$(openssl rand -base64 32)"'
)
_COUNTS = (
    "max_connections",
    "flush_after_uses",
    "buffer_limit_uses",
    "spool_limit_bytes",
    "refused_limit_per_key",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a ledger behaves in this process.

    database_timeout_seconds: the longest any call waits for PostgreSQL before it raises LedgerUnavailable.
    max_connections: connections of this process to PostgreSQL at most.
    prepared_statements: False behind pgbouncer in transaction mode.
    cache_entries: keys kept in memory at most, at some 350 bytes each; 0 to read PostgreSQL at each verification.
    lease_seconds: how long this process may decide from memory after it last heard of the primary, up to 10: for
        so long at most is a key accepted after it was revoked.
    feed_interval_seconds: how often it asks the primary what changed; at most half a lease.
    flush_interval_seconds, flush_after_uses: recorded uses are stored after the interval or after so many.
    durability: when the use of an accepted verification is safe.
        "buffered": in memory, until a flush; what a crash loses, or a full buffer sheds, is counted by key and put
        on record as UsesLost. "spooled": in a file before the verification answers; `kill -9` loses nothing.
        "audit_required": in PostgreSQL before it answers, which takes a commit; else it raises LedgerUnavailable.
    spool_dir: the folder of those files, and of the counts that make a crash's losses known; on a local disk that
        outlives the process. By default from KEYLEDGER_SPOOL_DIR, else `uses` in the embedded ledger's folder, and
        with a DSN `keyledger` in $XDG_STATE_HOME or ~/.local/state.
    spool_limit_bytes: a process that has so much in its spool accepts no more verifications.
    buffer_limit_uses: uses that wait in memory at most.
    unique_names: whether no two live keys of a subject may have the same name (NameConflict). It is kept where all
        processes that create or update keys have it on; keys that were made before stay as they are.
    background_worker: whether this process helps to number events and to keep read models up to date. One process
        of all that use a ledger does it at a time; with none, history and last_used_at stand still.
    refused_limit_per_key, refused_interval_seconds: so many refused attempts of a key are listed in such an
        interval; the rest are counted.
    peppers: 32 random bytes or more by id; the first one makes new digests, the others check older keys.
        By default from KEYLEDGER_PEPPERS ("id:base64,id:base64").
    """

    database_timeout_seconds: float = 5.0
    max_connections: int = 20
    prepared_statements: bool = True
    cache_entries: int = 100_000
    lease_seconds: float = 1.0
    feed_interval_seconds: float = 0.25
    flush_interval_seconds: float = 1.0
    flush_after_uses: int = 10_000
    buffer_limit_uses: int = 200_000
    durability: Durability = "buffered"
    spool_dir: str | os.PathLike[str] | None = None
    spool_limit_bytes: int = 1_000_000_000
    refused_limit_per_key: int = 10
    refused_interval_seconds: float = 60.0
    background_worker: bool = True
    unique_names: bool = False
    peppers: Mapping[str, bytes] | None = None

    def __post_init__(self) -> None:
        for field in ("database_timeout_seconds", "flush_interval_seconds", "refused_interval_seconds"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 86_400:
                raise InvalidArgument(field, "a number of seconds above 0, up to a day")
        for field in _COUNTS:
            arguments.integer(field, getattr(self, field), minimum=1)
        arguments.integer("cache_entries", self.cache_entries, minimum=0)
        _check_lease(self.lease_seconds, self.feed_interval_seconds)
        if self.durability not in get_args(Durability):
            raise InvalidArgument("durability", f"one of {', '.join(get_args(Durability))}")
        if self.spool_dir is not None and not isinstance(self.spool_dir, (str, os.PathLike)):
            raise InvalidArgument("spool_dir", "a path or None")
        for field in ("prepared_statements", "background_worker", "unique_names"):
            arguments.boolean(field, getattr(self, field))
        if self.peppers is not None:
            Peppers(self.peppers)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{field}={value!r}' for field, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The fields, of the peppers only their ids."""
        shown = {field: getattr(self, field) for field in self.__struct_fields__}
        return list({**shown, "peppers": self.peppers and tuple(self.peppers)}.items())

    def spool_path(self, data_dir: Path | None) -> Path | None:
        """The folder of the spools of all ledgers; None where there is no place for one."""
        if self.spool_dir is not None:
            return Path(self.spool_dir)
        if given := os.environ.get(SPOOL_DIR_VARIABLE):
            return Path(given)
        if data_dir is not None:
            return DataFolder(data_dir).uses
        state = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state")
        try:
            return Path(state).expanduser() / "keyledger"
        except RuntimeError:  # an account without a home
            return None

    def pepper_bytes(self) -> dict[str, bytes]:
        """The peppers given here, else those of the environment."""
        return dict(self.peppers) if self.peppers is not None else _from_environment()


def _check_lease(lease_seconds: object, feed_interval_seconds: object) -> None:
    lease = _seconds("lease_seconds", lease_seconds, LEASE_MOST_SECONDS)
    if _seconds("feed_interval_seconds", feed_interval_seconds, LEASE_MOST_SECONDS) > lease / 2:
        raise InvalidArgument("feed_interval_seconds", "at most half of lease_seconds")


def _seconds(field: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
        raise InvalidArgument(field, f"a number of seconds above 0, up to {most:g}")
    return value


def _from_environment() -> dict[str, bytes]:
    """The variable's peppers by id. Raises InvalidArgument, which never repeats what it holds."""
    found: dict[str, bytes] = {}
    for entry in filter(None, map(str.strip, os.environ.get(PEPPERS_VARIABLE, "").split(","))):
        count = len(found)
        kid, _, encoded = entry.partition(":")
        try:
            found[kid] = base64.b64decode(encoded, validate=True)
        except ValueError:  # binascii.Error is one, and so is what a character beyond ASCII raises
            raise InvalidArgument(PEPPERS_VARIABLE, _PEPPERS_ALLOWED) from None
        if len(found) == count:
            raise InvalidArgument(PEPPERS_VARIABLE, "each id once")
    try:
        Peppers(found)
    except InvalidArgument:
        raise InvalidArgument(PEPPERS_VARIABLE, _PEPPERS_ALLOWED) from None
    return found
