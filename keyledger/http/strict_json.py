"""JSON as it is meant (RFC 8259), and nothing that two readers may understand in two ways."""

import json
import math
from typing import Any, NoReturn

DEPTH = 100
"""Arrays and objects within each other; a key's claims may be that deep."""


class NotJSON(ValueError):
    """The text is no JSON, or ambiguous; the message says why, and repeats none of it."""


def decode(data: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises NotJSON, also for a name that an object has twice, NaN and infinite numbers, U+0000, halves of surrogate
    pairs, and nesting that is too deep.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise NotJSON("the body is not UTF-8") from None
    try:
        value = _decoder.decode(text)
    except NotJSON:
        raise
    except (ValueError, RecursionError):  # also of an integer with thousands of digits
        raise NotJSON("the body is not JSON") from None
    if text.count("[") + text.count("{") > DEPTH or "\\u" in text or "\0" in text:
        _check(value, 0)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJSON("an object has the same name twice")
    return found


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJSON("a number is too large")
    return value


def _no_constant(_: str) -> NoReturn:
    raise NotJSON("NaN and Infinity are not JSON")


def _check(value: object, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict | list):
        if depth >= DEPTH + 1:
            raise NotJSON(f"the body is nested more than {DEPTH} deep")
        for part in value.values() if isinstance(value, dict) else value:
            _check(part, depth + 1)
        if isinstance(value, dict):
            for name in value:
                _check_text(name)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise NotJSON("a text holds the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJSON("a text holds half of a surrogate pair") from None


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_no_constant)
