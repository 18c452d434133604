"""The compact form in which a KeyUsed event holds many uses. It is compiled where that can be done."""

from collections.abc import Iterable

from keyledger.compiled import prefer_compiled
from keyledger.domain.use import OUTCOME_NUMBERS, NotedUse, Use, UseRow


def pack(uses: Iterable[NotedUse], start: int) -> tuple[tuple[str, ...], tuple[UseRow, ...]]:
    """The uses as distinct texts and rows of numbers: most requests of a key share most of their texts.

    `start` is what the first row counts from, in microseconds as the uses' moments are.
    """
    numbers: dict[str | None, int] = {None: 0}
    rows: list[UseRow] = []
    before = start
    last: Use | None = None
    address = agent = method = path = request_id = 0
    for moment, outcome, use in uses:
        if use is not last:  # requests that are alike share one
            last = use
            address = numbers.setdefault(use.ip_address, len(numbers))
            agent = numbers.setdefault(use.user_agent, len(numbers))
            method = numbers.setdefault(use.method, len(numbers))
            path = numbers.setdefault(use.path, len(numbers))
            request_id = numbers.setdefault(use.request_id, len(numbers))
        rows.append(UseRow(moment - before, OUTCOME_NUMBERS[outcome], address, agent, method, path, request_id))
        before = moment
    return tuple([text for text in numbers if text is not None]), tuple(rows)


prefer_compiled(__name__)
