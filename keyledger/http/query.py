"""The parameters of a query, by name."""

from collections.abc import Collection
from urllib.parse import parse_qsl

from keyledger.http.problems import bad_request

_FIELDS = 1000


def parameters(text: bytes, *, known: Collection[str], of: str = "query") -> dict[str, str]:
    """What `a=1&b=2` says, in percent-encoded UTF-8; a known name stands once. Raises Problem."""
    given: dict[str, str] = {}
    for name, value in pairs(text, of=of):
        if name in given and name in known:
            raise bad_request(f"Invalid '{name}': it is there twice.", name)
        given[name] = value
    return given


def pairs(text: bytes, *, of: str = "query") -> list[tuple[str, str]]:
    """The same, name by name. Raises Problem."""
    try:
        return parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise bad_request(f"Invalid {of}: it is not percent-encoded UTF-8, or too much.", of) from None
