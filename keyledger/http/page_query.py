"""What the list of keys is asked for, in the query."""

from urllib.parse import parse_qsl

import msgspec

from keyledger.http.problems import bad_request

_MOST = 2**53


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
        try:
            given = dict(parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict"))
        except ValueError:
            raise bad_request("Invalid query: it is not percent-encoded UTF-8.", "query") from None
        include_invalid = given.get("include_invalid", "false")
        if include_invalid not in ("true", "false"):
            raise bad_request("Invalid 'include_invalid': true or false.", "include_invalid")
        return cls(
            subject=given.get("subject"),
            type=given.get("type", "api_key"),
            include_invalid=include_invalid == "true",
            limit=_whole("limit", given.get("limit", "10"), 1, 100),
            offset=_whole("offset", given.get("offset", "0"), 0, _MOST),
            query=given.get("query"),
        )


def _whole(param: str, text: str, least: int, most: int) -> int:
    """A number as Python's and JavaScript's clients write it: `10`, `10.0`."""
    allowed = f"a number from {least} to {most}" if most < _MOST else f"a number of at least {least}"
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise bad_request(f"Invalid '{param}': {allowed}.", param)
    return int(value)
