"""The uses of one event, column by column: what they all share is there once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, repeat

import msgspec

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.use import OUTCOMES, RecordedUse, Use


class UseColumns(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A number for each use in each column; or, but for `since`, one that all of them have.

    since: microseconds since the use before; of the first, since the event's own moment.
    outcome: its place in OUTCOMES.
    ip_address and so on: the text's place among the event's, counted from 1; 0 is None.
    """

    since: tuple[int, ...]
    outcome: tuple[int, ...]
    ip_address: tuple[int, ...]
    user_agent: tuple[int, ...]
    method: tuple[int, ...]
    path: tuple[int, ...]
    request_id: tuple[int, ...]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self._shared()}
        if not lengths <= ({1, len(self.since)} if self.since else {0}):
            raise ValueError("the columns are of different lengths")

    def __len__(self) -> int:
        """How many uses there are."""
        return len(self.since)

    def offsets(self) -> list[int]:
        """When each use was, in microseconds after the event's own moment."""
        return list(accumulate(self.since))

    def span(self) -> tuple[int, int]:
        """The earliest and the latest of the offsets; there is one at least."""
        if min(self.since) >= 0:  # as where no clock went back
            return self.since[0], sum(self.since)
        offsets = self.offsets()
        return min(offsets), max(offsets)

    def each(self, column: tuple[int, ...]) -> Iterable[int]:
        """A column's number for each use."""
        return column if len(column) == len(self) else repeat(column[0], len(self))

    def between(self, first: int, last: int) -> "UseColumns":
        """The uses from the first to the last of these indexes."""
        columns = (column if len(column) == 1 else column[first : last + 1] for column in self._shared())
        return UseColumns(self.since[first : last + 1], *columns)

    def unpack(self, texts: Sequence[str], start: datetime) -> Iterator[RecordedUse]:
        """The uses that `pack` packed, exactly; `start` is what the first one's `since` counts from.

        Raises UnreadableEvent for a number that stands for nothing.
        """
        self._check(texts)
        known = (None, *texts)
        moment = start
        for since, outcome, *numbers in zip(self.since, *map(self.each, self._shared()), strict=True):
            moment += timedelta(microseconds=since)
            fields = zip(Use.__struct_fields__, (known[number] for number in numbers), strict=True)
            yield RecordedUse(occurred_at=moment, outcome=OUTCOMES[outcome], use=Use(**dict(fields)))

    def _check(self, texts: Sequence[str]) -> None:
        for number in {*self.outcome} - {*range(len(OUTCOMES))}:
            raise UnreadableEvent(f"there is no outcome {number}")
        for column in self._shared()[1:]:
            for number in (min(column, default=0), max(column, default=0)):
                text_of(texts, number)

    def _shared(self) -> tuple[tuple[int, ...], ...]:
        """The columns that may be of one number."""
        return self.outcome, self.ip_address, self.user_agent, self.method, self.path, self.request_id


def text_of(texts: Sequence[str], number: int) -> str | None:
    """The text that a number of a column stands for. Raises UnreadableEvent where there is none."""
    if not 0 <= number <= len(texts):
        raise UnreadableEvent(f"there is no text {number}")
    return texts[number - 1] if number else None
