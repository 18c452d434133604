"""One use of a key, and the compact form in which a KeyUsed event holds many."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, get_args

import msgspec

from keyledger.domain import secret
from keyledger.domain.errors import InvalidArgument

Outcome = Literal["valid", "revoked", "expired", "insufficient_scope", "not_found"]
"""How a verification of a known key ended; `not_found` is a wrong secret that carries the key's id."""

Row = tuple[int, int, int, int, int, int, int]
"""Microseconds since the row before, outcome, then the five texts' numbers (0 is None)."""

_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)  # stored by number: only ever add at the end
_LIMITS = {"ip_address": 64, "user_agent": 512, "method": 32, "path": 2048, "request_id": 255}
_MICROSECOND = timedelta(microseconds=1)


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """The request that a secret came with. Each field is a text or None.

    Texts that are too long are cut when they are recorded, and a secret in them is blacked out: a request is not
    refused for its headers.
    """

    ip_address: str | None = None
    user_agent: str | None = None
    method: str | None = None
    path: str | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if value is not None and not isinstance(value, str):
                raise InvalidArgument(field, "a text or None")

    def __repr__(self) -> str:
        return f"Use({', '.join(f'{field}={value!r}' for field, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, str | None]]:
        """The fields as they may be stored."""
        return list(msgspec.structs.asdict(self.cleaned()).items())

    def cleaned(self) -> "Use":
        """The use as it may be stored."""
        return Use(**{field: _clean(getattr(self, field), limit) for field, limit in _LIMITS.items()})

    @property
    def characters(self) -> int:
        """How long its texts are together."""
        return sum(len(getattr(self, field) or "") for field in _LIMITS)

    def bounded(self) -> "Use":
        """The use itself; cleaned where it has a text that is too long to be kept until it is stored."""
        long = any(len(getattr(self, field) or "") > limit for field, limit in _LIMITS.items())
        return self.cleaned() if long else self


class RecordedUse(msgspec.Struct, frozen=True, kw_only=True):
    """A use, when it was and how it ended."""

    occurred_at: datetime
    outcome: Outcome
    use: Use


def pack(uses: Sequence[RecordedUse], start: datetime) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """The uses as distinct texts and rows of numbers: most requests of a key share most of their texts."""
    numbers: dict[str | None, int] = {None: 0}
    moments = [start, *(use.occurred_at for use in uses)]
    rows = tuple(
        (
            (later - earlier) // _MICROSECOND,
            _OUTCOMES.index(use.outcome),
            *(numbers.setdefault(getattr(use.use, field), len(numbers)) for field in Use.__struct_fields__),
        )
        for use, (earlier, later) in zip(uses, pairwise(moments), strict=True)
    )
    return tuple(text for text in numbers if text is not None), rows  # type: ignore[return-value]


def unpack(texts: Sequence[str], rows: Iterable[Row], start: datetime) -> Iterable[RecordedUse]:
    """The uses that `pack` packed, exactly."""
    known = (None, *texts)
    moment = start
    for microseconds, outcome, *numbers in rows:
        moment += timedelta(microseconds=microseconds)
        use = Use(**dict(zip(Use.__struct_fields__, (known[number] for number in numbers), strict=True)))
        yield RecordedUse(occurred_at=moment, outcome=_OUTCOMES[outcome], use=use)


def _clean(text: str | None, limit: int) -> str | None:
    if text is None:
        return None
    text = secret.redact(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= limit else text[: limit - 1] + "…"
