"""Events as bytes: one byte for the event's version, then its fields as a MessagePack array.

Positions instead of names make it small and quick; the stream's id and version stay in columns of their own.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import EVENTS, Event
from keyledger.infrastructure.upcasters import UPCASTERS, Upcaster


class EventCodec:
    """Encodes the newest version of each event, and decodes every version there ever was."""

    def __init__(
        self,
        events: Iterable[type[Event]] = EVENTS,
        upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    ) -> None:
        self._types = {event.topic: event for event in events}
        self._upcasters = upcasters
        self._encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
        self._decoders = {event.topic: msgspec.msgpack.Decoder(event) for event in self._types.values()}
        for topic, event in self._types.items():
            missing = [v for v in range(1, event.version) if (topic, v) not in upcasters]
            if missing:
                raise TypeError(f"{topic} has no upcaster from version {missing}")

    def encode(self, event: Event) -> bytes:
        """The event's state."""
        return bytes([event.version]) + self._encoder.encode(event)

    def decode(self, topic: str, state: bytes) -> Event:
        """The event of a topic and a state; raises UnreadableEvent for what this version cannot read."""
        kind = self._types.get(topic)
        if kind is None:
            raise UnreadableEvent(f"there is no event type {topic!r}: a newer keyledger wrote it")
        if not state or state[0] < 1:
            raise UnreadableEvent(f"the state of a {topic} is damaged: it begins with no version")
        if state[0] > kind.version:
            raise UnreadableEvent(
                f"{topic} version {state[0]} is newer than the {kind.version} that this keyledger reads"
            )
        try:
            if state[0] == kind.version:
                return self._decoders[topic].decode(memoryview(state)[1:])
            return self._upcast(kind, state)
        except (msgspec.MsgspecError, LookupError, RecursionError, TypeError, ValueError):
            raise UnreadableEvent(f"the state of a {topic} version {state[0]} is damaged") from None

    def _upcast(self, kind: type[Event], state: bytes) -> Event:
        fields = msgspec.msgpack.decode(memoryview(state)[1:], type=list[Any])
        for version in range(state[0], kind.version):
            fields = self._upcasters[kind.topic, version](fields)
        return msgspec.convert(fields, kind)
