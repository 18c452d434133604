"""Group commit: who waits for a use to be stored, and who does not any more."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.waiting import eventually

from keyledger import LedgerUnavailable, Use
from keyledger.infrastructure.uses.buffer import Flush
from keyledger.infrastructure.uses.group_commit import GroupCommit
from keyledger.infrastructure.uses.pending import Pending

FLUSH = Flush(topic="KeyUsed", entries=(), uses=1)


def test_who_gave_up_waiting_is_not_stored_and_holds_up_nobody() -> None:
    group = GroupCommit(threading.Event())
    taken: list[list[int]] = []

    def flushes_of(pending: list[Pending]) -> list[Flush]:
        taken.append([use.low for use in pending])
        return [FLUSH]

    with pytest.raises(LedgerUnavailable, match="not stored within"):
        group.wait(0, 1, 0, "valid", Use(), timeout_seconds=0.01)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(group.wait, 0, low, 0, "valid", Use(), timeout_seconds=30) for low in (2, 3)]
        eventually(lambda: len(group) == 3)
        group.commit(flushes_of, lambda _: None)
        for each in waiting:
            each.result(30)

    assert [sorted(some) for some in taken] == [[2, 3]]
