"""The header fields of a WSGI environ, which is also what Django's META is under ASGI."""

from collections.abc import Iterator, Mapping
from typing import Any

_PREFIX = "HTTP_"


def header_fields(environ: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Names in lower case and values as bytes (PEP 3333: each character is one).

    A server that lets a field with an underscore in its name through passes it off as one with a hyphen; all
    common ones drop such fields.
    """
    for name, value in environ.items():
        if name.startswith(_PREFIX) and isinstance(value, str):
            yield (
                name[len(_PREFIX) :].replace("_", "-").lower().encode("latin-1", "replace"),
                value.encode("latin-1", "replace"),
            )
