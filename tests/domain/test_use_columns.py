"""The columns as which an event holds its uses."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.streams import T0

from keyledger.domain.errors import UnreadableEvent
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import OUTCOMES, RecordedUse, Use
from keyledger.domain.use_columns import UseColumns

ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", None])
USES = st.lists(
    st.builds(
        RecordedUse,
        occurred_at=st.integers(-9, 9).map(lambda microseconds: T0 + timedelta(microseconds=microseconds)),
        outcome=st.sampled_from(["valid", "revoked"]),
        use=st.builds(Use, ip_address=ADDRESSES),
    ),
    min_size=1,
    max_size=9,
)


def event_of(uses: list[RecordedUse]) -> KeyUsed:
    return KeyUsed.of(uses, id=new_uuid())


def test_what_all_uses_share_is_there_once() -> None:
    uses = [RecordedUse(occurred_at=T0, outcome="valid", use=Use(path=f"/{n}", method="GET")) for n in range(3)]

    columns = event_of(uses).columns

    assert (columns.outcome, columns.method, columns.user_agent) == ((0,), (1,), (0,))
    assert columns.path == (2, 3, 4)


@given(USES)
def test_the_span_is_from_the_earliest_to_the_latest_however_clocks_went(uses: list[RecordedUse]) -> None:
    event = event_of(uses)
    moments = [use.occurred_at for use in uses]

    span = [event.occurred_at + timedelta(microseconds=offset) for offset in event.columns.span()]

    assert span == [min(moments), max(moments)]


@given(USES, st.data())
def test_some_of_the_uses_are_as_they_are_among_all(uses: list[RecordedUse], data: st.DataObject) -> None:
    event = event_of(uses)
    first = data.draw(st.integers(0, len(uses) - 1))
    last = data.draw(st.integers(first, len(uses) - 1))
    start = uses[first - 1].occurred_at if first else event.occurred_at

    some = event.columns.between(first, last)

    assert list(some.unpack(event.texts, start)) == uses[first : last + 1]


def test_a_column_that_is_too_short_is_none() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        UseColumns((0, 0, 0), (0,), (0, 0), (0,), (0,), (0,), (0,))


@pytest.mark.parametrize("number", [2, -1])
def test_a_number_that_stands_for_no_text_is_never_taken_for_another(number: int) -> None:
    columns = UseColumns((0, 0), (0,), (0, number), (0,), (0,), (0,), (0,))
    with pytest.raises(UnreadableEvent, match=f"there is no text {number}"):
        list(columns.unpack(["10.0.0.1"], T0))


@pytest.mark.parametrize("number", [len(OUTCOMES), -1])
def test_a_number_that_stands_for_no_outcome_is_never_taken_for_another(number: int) -> None:
    columns = UseColumns((0, 0), (0, number), (0,), (0,), (0,), (0,), (0,))
    with pytest.raises(UnreadableEvent, match=f"there is no outcome {number}"):
        list(columns.unpack([], T0))


def test_without_uses_there_is_nothing_in_any_column() -> None:
    assert len(UseColumns((), (), (), (), (), (), ())) == 0
    with pytest.raises(ValueError, match="different lengths"):
        UseColumns((), (0,), (), (), (), (), ())
