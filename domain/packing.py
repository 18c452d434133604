"""The compact form in which a KeyUsed event holds many uses. It is compiled where that can be done."""

from array import array

from keyledger.compiled import prefer_compiled
from keyledger.domain.use import OUTCOME_NUMBERS, Outcome, Use
from keyledger.domain.use_columns import UseColumns


def pack(
    moments: "array[int]", outcomes: list[Outcome], uses: list[Use], start: int
) -> tuple[tuple[str, ...], UseColumns]:
    """The uses as distinct texts and columns of numbers: most requests of a key share most of their texts.

    When each was and what the first one counts from, `start`, are in microseconds since 1970.
    """
    numbers: dict[str | None, int] = {None: 0}
    since: list[int] = []
    kinds: list[int] = []
    addresses: list[int] = []
    agents: list[int] = []
    methods: list[int] = []
    paths: list[int] = []
    request_ids: list[int] = []
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
        moment = column[place]
        since.append(moment - before)
        before = moment
        kinds.append(numbers_of[outcomes[place]])
        addresses.append(address)
        agents.append(agent)
        methods.append(method)
        paths.append(path)
        request_ids.append(request_id)
    columns = UseColumns(
        tuple(since),
        shortest(kinds),
        shortest(addresses),
        shortest(agents),
        shortest(methods),
        shortest(paths),
        shortest(request_ids),
    )
    return tuple([text for text in numbers if text is not None]), columns


def shortest(values: list[int]) -> tuple[int, ...]:
    """A column of these: of one number where all have the same."""
    if not values:
        return ()
    first = values[0]
    for value in values:
        if value is not first and value != first:  # most are the same object, which is sooner told
            return tuple(values)
    return (first,)


prefer_compiled(__name__)
