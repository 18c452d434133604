"""eventsourcing's mapper over our codec: the library ships none for msgspec, and its own refuses Structs."""

from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper
from eventsourcing.persistence import StoredEvent as LibraryEvent

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import StoredEvent
from keyledger.domain.ids import key_id_text
from keyledger.infrastructure.codec import EventCodec


class EventMapper(Mapper[UUID]):
    """Between our StoredEvent, whose event is typed, and eventsourcing's, whose event is bytes."""

    def __init__(self, codec: EventCodec) -> None:
        super().__init__(JSONTranscoder())  # never used: the codec stands for transcoder, compressor and cipher
        self._codec = codec

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> LibraryEvent:
        assert isinstance(domain_event, StoredEvent)
        return LibraryEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=domain_event.event.topic,
            state=self._codec.encode(domain_event.event),
        )

    def to_domain_event(self, stored_event: LibraryEvent) -> StoredEvent:
        assert isinstance(stored_event.originator_id, UUID)
        try:
            event = self._codec.decode(stored_event.topic, stored_event.state)
        except UnreadableEvent as error:
            place = f"{key_id_text(stored_event.originator_id)}, version {stored_event.originator_version}"
            raise UnreadableEvent(f"{place}: {error}") from None
        return StoredEvent(
            originator_id=stored_event.originator_id,
            originator_version=stored_event.originator_version,
            event=event,
        )
