"""The ends that a process comes to, and forks: what open ledgers do then without being asked."""

import atexit
import logging
import os
from collections.abc import Callable
from multiprocessing.util import Finalize, register_after_fork

import msgspec

from keyledger.domain.errors import KeyLedgerError

_log = logging.getLogger("keyledger")


class Hooks(msgspec.Struct, frozen=True, kw_only=True):
    """What to call at the end of the process, and in a forked child."""

    close: Callable[[], None]
    after_fork: Callable[[], None]


_open: dict[object, Hooks] = {}


def add(ledger: object, hooks: Hooks) -> None:
    """Look after a ledger from now on."""
    _open[ledger] = hooks


def discard(ledger: object) -> None:
    """Look after it no longer."""
    _open.pop(ledger, None)


def _close_all() -> None:
    """Uses that were recorded are stored even where nobody called close."""
    for hooks in tuple(_open.values()):
        try:
            hooks.close()
        except KeyLedgerError as error:
            _log.error("the ledger was not closed: %s", error)
        except Exception:
            _log.exception("the ledger was not closed")


def _close_at_end_of_worker(*_: object) -> None:
    """A process of multiprocessing ends without atexit, and begins by forgetting its parent's finalizers."""
    Finalize(None, _close_all, exitpriority=0)
    register_after_fork(_close_all, _close_at_end_of_worker)


def _after_fork() -> None:
    for hooks in tuple(_open.values()):
        hooks.after_fork()


atexit.register(_close_all)
_close_at_end_of_worker()
os.register_at_fork(after_in_child=_after_fork)
