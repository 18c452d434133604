"""The compact form in which a KeyUsed event holds many uses. It is compiled where that can be done."""

from array import array

from keyledger.compiled import prefer_compiled
from keyledger.domain.use import OUTCOME_NUMBERS, Outcome, Use, UseRow


def pack(
    moments: "array[int]", outcomes: list[Outcome], uses: list[Use], start: int
) -> tuple[tuple[str, ...], tuple[UseRow, ...]]:
    """The uses as distinct texts and rows of numbers: most requests of a key share most of their texts.

    When each was and what the first row counts from, `start`, are in microseconds since 1970.
    """
    numbers: dict[str | None, int] = {None: 0}
    rows: list[UseRow] = []
    before, numbers_of = start, OUTCOME_NUMBERS
    last: Use | None = None
    address = agent = method = path = request_id = 0
    column = memoryview(moments)
    for place, use in enumerate(uses):
        if use is not last:  # requests that are alike share one
            last = use
            address = numbers.setdefault(use.ip_address, len(numbers))
            agent = numbers.setdefault(use.user_agent, len(numbers))
            method = numbers.setdefault(use.method, len(numbers))
            path = numbers.setdefault(use.path, len(numbers))
            request_id = numbers.setdefault(use.request_id, len(numbers))
        moment, outcome = column[place], numbers_of[outcomes[place]]
        rows.append(UseRow(moment - before, outcome, address, agent, method, path, request_id))
        before = moment
    return tuple([text for text in numbers if text is not None]), tuple(rows)


prefer_compiled(__name__)
