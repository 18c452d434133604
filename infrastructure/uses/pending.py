"""Uses that wait in memory, and how they are taken apart to be stored. It is compiled where that can be done."""

from collections import deque

from keyledger.compiled import prefer_compiled
from keyledger.domain.use import NotedUse, Outcome, Use

Pending = tuple[int, int, int, Outcome, Use, int]
"""A use that waits: the high and the low half of its key's id, when it was (ns since 1970), how it ended, its
request, its slot in the journal. To make a UUID of each would cost more than all the rest."""

NO_SLOT = -1


def take(pending: deque[Pending], most: int) -> list[Pending]:
    """The oldest, so many at most; they do not wait any more."""
    uses = []
    for _ in range(min(len(pending), most)):
        uses.append(pending.popleft())  # noqa: PERF401 - a comprehension is a function of its own, with no types
    return uses


def by_key(pending: list[Pending]) -> dict[int, list[Pending]]:
    """The uses of each key, by its number, in their order."""
    found: dict[int, list[Pending]] = {}
    uses: list[Pending] = []
    before: Pending | None = None
    for use in pending:
        if before is None or use[0] != before[0] or use[1] != before[1]:
            uses = found.setdefault(use[0] << 64 | use[1], [])
            before = use
        uses.append(use)
    return found


def noted(uses: list[Pending]) -> list[NotedUse]:
    """What is stored of the uses of a key."""
    found: list[NotedUse] = []
    for use in uses:
        moment = use[2]
        found.append((moment // 1000, use[3], use[4]))
    return found


def accepted_span(uses: list[NotedUse]) -> tuple[int, int] | tuple[None, None]:
    """When the first and the last accepted one of the uses were."""
    first = last = 0
    found = False
    for moment, outcome, _ in uses:
        if outcome != "valid":
            continue
        if not found:
            first = last = moment
            found = True
        elif moment < first:
            first = moment
        elif moment > last:
            last = moment
    return (first, last) if found else (None, None)


def slots_of(uses: list[Pending]) -> list[int]:
    """Which slots of the journal they have."""
    found: list[int] = []
    for use in uses:
        slot = use[5]
        if slot != NO_SLOT:
            found.append(slot)
    return found


prefer_compiled(__name__)
