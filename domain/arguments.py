"""The rules for what a caller may pass: each function returns the value in the form that events hold."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from keyledger.domain import secret
from keyledger.domain.errors import InvalidArgument

CLAIMS_BYTES = 8 * 1024
CLAIMS_DEPTH = 100
SCOPES = 1000
REASON_CHARACTERS = 1024
LATEST = datetime(9999, 12, 31, tzinfo=UTC) - timedelta(days=1)  # the year 9999 in every time zone


def text(param: str, value: object, *, minimum: int = 1, maximum: int = 255, trimmed: bool = True) -> str:
    """A text of `minimum` to `maximum` characters, by default with no white space at either end."""
    allowed = (
        f"a text of {minimum} to {maximum} characters" if minimum else f"a text of at most {maximum} characters"
    )
    if not isinstance(value, str) or not minimum <= len(value) <= maximum:
        raise InvalidArgument(param, allowed)
    if trimmed and value != value.strip():
        raise InvalidArgument(param, f"{allowed}, with no white space at either end")
    _check_characters(param, value)
    return str.__str__(value)  # the text itself, where it came as a member of a StrEnum or the like


def optional_text(
    param: str, value: object, *, minimum: int = 1, maximum: int = 255, trimmed: bool = True
) -> str | None:
    """As `text`, or None."""
    return None if value is None else text(param, value, minimum=minimum, maximum=maximum, trimmed=trimmed)


def revocation_reason(value: object) -> str | None:
    """At most 1,024 characters, or None.

    A secret in it is blacked out, not refused: who revokes a leaked key must not be held up by having pasted it.
    """
    if isinstance(value, str):
        value = secret.redact(value)
    return optional_text("revocation_reason", value, minimum=0, maximum=REASON_CHARACTERS, trimmed=False)


def scopes(value: object) -> tuple[str, ...]:
    """Distinct, non-empty texts, in the caller's order; None means none."""
    allowed = f"a list of at most {SCOPES} distinct, non-empty texts of at most 255 characters"
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise InvalidArgument("scopes", f"{allowed}, not one {type(value).__name__}")
    found = tuple(text("scopes", scope, trimmed=False) for scope in islice(value, SCOPES + 1))
    if len(found) > SCOPES or len(set(found)) != len(found):
        raise InvalidArgument("scopes", allowed)
    return found


def claims(value: object) -> str | None:
    """Any JSON value of at most 8 KiB, as compact JSON text; None for null."""
    if value is None:
        return None
    too_large = InvalidArgument("claims", f"a JSON value of at most {CLAIMS_BYTES} bytes as compact JSON")
    for count, (depth, part) in enumerate(_parts(value)):
        if count > CLAIMS_BYTES:  # each part takes a byte at least; the parts of nested references may be endless
            raise too_large
        if depth > CLAIMS_DEPTH:
            raise InvalidArgument("claims", f"a JSON value nested at most {CLAIMS_DEPTH} deep")
        _check_json("claims", part)
    try:
        document = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise InvalidArgument(
            "claims", "a JSON value: a number must be finite and of at most 4,300 digits"
        ) from None
    if len(document.encode()) > CLAIMS_BYTES:
        raise too_large
    return document


def expiration(now: datetime, seconds_until_expiration: object) -> datetime | None:
    """The moment so many seconds after `now`; None for never."""
    param, allowed = "seconds_until_expiration", "a number above 0, or None for never"
    value = seconds_until_expiration
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InvalidArgument(param, allowed)
    try:
        moment = now + timedelta(microseconds=max(1, math.floor(value * 1_000_000)))
    except (OverflowError, ValueError):
        moment = None
    if moment is None or moment > LATEST:
        raise InvalidArgument(param, f"{allowed}; the key must expire by {LATEST:%Y-%m-%d}")
    return moment


def integer(param: str, value: object, *, minimum: int, maximum: int | None = None) -> int:
    """A whole number within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or (maximum and value > maximum):
        bounds = f"from {minimum} to {maximum}" if maximum else f"of at least {minimum}"
        raise InvalidArgument(param, f"a whole number {bounds}")
    return value


def boolean(param: str, value: object) -> bool:
    """True or False, and nothing that merely resembles them."""
    if not isinstance(value, bool):
        raise InvalidArgument(param, "True or False")
    return value


def _check_characters(param: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(param, "a text of Unicode characters, with no lone surrogate") from None
    if "\0" in value:
        raise InvalidArgument(param, "a text without the character U+0000")
    if secret.occurs_in(value):
        raise InvalidArgument(param, "a text that holds no API key's secret")


def _check_json(param: str, value: object) -> None:
    if isinstance(value, str):
        _check_characters(param, value)
    elif isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InvalidArgument(param, "a JSON value: the keys of an object are texts")
        for key in value:
            _check_characters(param, key)
    elif value is not None and not isinstance(value, (list, tuple, bool, int, float)):
        raise InvalidArgument(
            param,
            f"a JSON value: object, array, text, number, true, false or null, not {type(value).__name__}",
        )


def _parts(value: object) -> Iterator[tuple[int, Any]]:
    """The value and everything in it with its depth, breadth first and no deeper than is allowed."""
    level: list[Any] = [value]
    for depth in range(1, CLAIMS_DEPTH + 2):
        below: list[Any] = []
        for part in level:
            yield depth, part
            if isinstance(part, dict):
                below.extend(part.values())
            elif isinstance(part, (list, tuple)):
                below.extend(part)
        level = below
