"""The usage read model's rows, as they are and as the events make them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg

from keyledger.domain.events import KeyUsed
from keyledger.infrastructure.codec import EventCodec
from keyledger.projections import usage
from keyledger.projections.sequenced import SequencedEvent
from keyledger.projections.usage import Usage, UsageDay, UsageRows


def assert_folded(connection: psycopg.Connection) -> None:
    """The rows are what the events up to the read model's position make, in one go."""
    folded = usage.fold(UsageRows(keys={}, days={}), _events(connection))
    assert _stored(connection, "key_usage", Usage) == _sorted(folded.keys.values())
    assert _stored(connection, "key_usage_days", UsageDay) == _sorted(folded.days.values())


def _events(connection: psycopg.Connection) -> Iterator[SequencedEvent]:
    query = """
        SELECT p.position, e.originator_id, e.originator_version, e.recorded_at, e.topic, e.state
        FROM keyledger.positions AS p JOIN keyledger.events AS e USING (originator_id, originator_version)
        WHERE p.position <= (SELECT position FROM keyledger.projections WHERE name = 'usage')
            AND e.topic = %s
        ORDER BY p.position
    """
    codec = EventCodec()
    for position, key_id, version, recorded_at, topic, state in connection.execute(query, [KeyUsed.topic]):
        yield SequencedEvent(
            position=position,
            originator_id=key_id,
            originator_version=version,
            recorded_at=recorded_at,
            event=codec.decode(topic, bytes(state)),
        )


def _stored(connection: psycopg.Connection, table: str, kind: type[msgspec.Struct]) -> Sequence[Any]:
    fields = kind.__struct_fields__
    rows = connection.execute(f"SELECT {', '.join(fields)} FROM keyledger.{table}".encode())
    return _sorted(kind(**dict(zip(fields, row, strict=True))) for row in rows)


def _sorted(rows: Iterable[msgspec.Struct]) -> Sequence[Any]:
    return sorted(rows, key=lambda row: [str(value) for value in msgspec.structs.astuple(row)[:2]])
