"""What the list of keys is asked for, in the query."""

import sys

import msgspec

from keyledger.http.problems import bad_request
from keyledger.http.query import parameters

_BEYOND = 2**53
"""No list is that long."""


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Clerk's getApiKeys: unknown parameters are ignored, numbers may be written with a fraction."""

    subject: str | None
    type: str
    include_invalid: bool
    limit: int
    offset: int
    query: str | None

    @classmethod
    def of(cls, query_string: bytes) -> "PageQuery":
        """The query that a URL has. Raises Problem."""
        given = parameters(query_string, known=cls.__struct_fields__)
        include_invalid = given.get("include_invalid", "false")
        if include_invalid not in ("true", "false"):
            raise bad_request("Invalid 'include_invalid': true or false.", "include_invalid")
        return cls(
            subject=given.get("subject"),
            type=given.get("type", "api_key"),
            include_invalid=include_invalid == "true",
            limit=_whole("limit", given.get("limit", "10"), 1, 100),
            offset=_whole("offset", given.get("offset", "0"), 0, None),
            query=given.get("query"),
        )


def _whole(param: str, text: str, least: int, most: int | None) -> int:
    """A number as Python's and JavaScript's clients write it: `10`, `10.0`. A fraction is left out."""
    allowed = f"a number of at least {least}" if most is None else f"a number from {least} to {most}"
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        value = None
    if value is None or not least <= value <= (sys.float_info.max if most is None else most):
        raise bad_request(f"Invalid '{param}': {allowed}.", param)
    return min(int(value), _BEYOND)
