"""The usage read model's rows, as they are and as the events make them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg
from support.sequencing import applied

from keyledger.domain.events import KeyUsed
from keyledger.projections import usage
from keyledger.projections.usage import Usage, UsageDay


def assert_folded(connection: psycopg.Connection) -> None:
    """The rows are what the events up to the read model's position make, in one go."""
    used = (event for event in applied(connection, "usage") if isinstance(event.event, KeyUsed))
    folded = usage.counted(used)
    assert _stored(connection, "key_usage", Usage) == _sorted(folded.keys.values())
    assert _stored(connection, "key_usage_days", UsageDay) == _sorted(folded.days.values())


def _stored(connection: psycopg.Connection, table: str, kind: type[msgspec.Struct]) -> Sequence[Any]:
    fields = kind.__struct_fields__
    rows = connection.execute(f"SELECT {', '.join(fields)} FROM keyledger.{table}".encode())
    return _sorted(kind(**dict(zip(fields, row, strict=True))) for row in rows)


def _sorted(rows: Iterable[msgspec.Struct]) -> Sequence[Any]:
    return sorted(rows, key=lambda row: [str(value) for value in msgspec.structs.astuple(row)[:2]])
