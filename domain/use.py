"""One use of a key: the request, and how it ended."""

from datetime import datetime
from typing import Literal, get_args

import msgspec

from keyledger.domain import secret
from keyledger.domain.errors import InvalidArgument

Outcome = Literal["valid", "revoked", "expired", "insufficient_scope", "not_found"]
"""How a verification of a known key ended; `not_found` is a wrong secret that carries the key's id."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)  # stored by number: only ever add at the end
OUTCOME_NUMBERS: dict[Outcome, int] = {outcome: number for number, outcome in enumerate(OUTCOMES)}

_LIMITS = {"ip_address": 64, "user_agent": 512, "method": 32, "path": 2048, "request_id": 255}
_ADDRESS, _AGENT, _METHOD, _PATH, _REQUEST = _LIMITS.values()
_TEXT = {str}


class Use(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The request that a secret came with. Each field is a text or None.

    Texts that are too long are cut at once, and a secret in them is blacked out before they are recorded: a
    request is not refused for its headers.
    """

    ip_address: str | None = None
    user_agent: str | None = None
    method: str | None = None
    path: str | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        ip, agent, method, path, request = (
            self.ip_address,
            self.user_agent,
            self.method,
            self.path,
            self.request_id,
        )
        if (  # field by field, as every verified request comes by here: a loop takes twice as long as the rest
            (ip is None or (ip.__class__ is str and len(ip) <= _ADDRESS))
            and (agent is None or (agent.__class__ is str and len(agent) <= _AGENT))
            and (method is None or (method.__class__ is str and len(method) <= _METHOD))
            and (path is None or (path.__class__ is str and len(path) <= _PATH))
            and (request is None or (request.__class__ is str and len(request) <= _REQUEST))
        ):
            return
        for field, limit in _LIMITS.items():
            value = getattr(self, field)
            if value is None:
                continue
            if not isinstance(value, str):
                raise InvalidArgument(field, "a text or None")
            if len(value) > limit:  # here, so that nothing long is kept and recording has nothing to check
                msgspec.structs.force_setattr(self, field, _cut(clean(value), limit))

    def __repr__(self) -> str:
        return f"Use({', '.join(f'{field}={value!r}' for field, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, str | None]]:
        """The fields as they may be stored."""
        return list(msgspec.structs.asdict(self.cleaned()).items())

    def cleaned(self) -> "Use":
        """The use as it may be stored."""
        texts = msgspec.structs.asdict(self)
        return Use(**{field: None if text is None else clean(text) for field, text in texts.items()})


class RecordedUse(msgspec.Struct, frozen=True, kw_only=True):
    """A use, when it was and how it ended."""

    occurred_at: datetime
    outcome: Outcome
    use: Use


def cleaned(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts as they may be stored."""
    joined = "".join(texts)
    if (
        _TEXT.issuperset(map(type, texts))
        and joined.isascii()
        and not secret.may_occur_in(joined)
        and "\0" not in joined
    ):
        return texts
    return tuple([clean(text) for text in texts])


def clean(text: str) -> str:
    """The text as it may be stored: no secret in it, nor what PostgreSQL or UTF-8 cannot hold. Never longer."""
    if type(text) is str and text.isascii() and not secret.may_occur_in(text) and "\0" not in text:
        return text
    return secret.redact(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
