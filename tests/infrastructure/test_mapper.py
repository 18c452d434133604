"""Our events in eventsourcing's words."""

import pytest
from support.streams import created, stream

from keyledger.domain.errors import UnreadableEvent
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.mapper import EventMapper


def test_an_event_goes_there_and_back() -> None:
    mapper = EventMapper(EventCodec())
    (stored,) = stream(created())
    library = mapper.to_stored_event(stored)
    assert (library.originator_id, library.originator_version, library.topic) == (
        stored.originator_id,
        1,
        "KeyCreated",
    )
    assert mapper.to_domain_event(library) == stored


def test_an_event_that_cannot_be_read_is_named_by_its_place() -> None:
    mapper = EventMapper(EventCodec())
    (stored,) = stream(created())
    library = mapper.to_stored_event(stored)
    object.__setattr__(library, "topic", "KeyDreamtOf")
    with pytest.raises(UnreadableEvent, match=r"ak_01a208f6d6277fcbac5f5786313b3378, version 1: .*KeyDreamtOf"):
        mapper.to_domain_event(library)
