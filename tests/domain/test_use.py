"""Uses, and the compact form in which an event holds them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.streams import KEY, T0, at

from keyledger.domain import secret
from keyledger.domain.errors import InvalidArgument
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse, Use, cleaned
from keyledger.infrastructure.codec import EventCodec

texts = st.sampled_from(["10.0.0.1", "curl/8", "GET", "/v1", "é"]) | st.text(max_size=4) | st.none()
recorded = st.builds(
    RecordedUse,
    occurred_at=st.integers(-(10**9), 10**12).map(lambda microseconds: T0 + timedelta(microseconds=microseconds)),
    outcome=st.sampled_from(["valid", "revoked", "expired", "insufficient_scope", "not_found"]),
    use=st.builds(Use, ip_address=texts, user_agent=texts, method=texts, path=texts, request_id=texts).map(
        Use.cleaned
    ),
)


@given(st.lists(recorded, min_size=1, max_size=20))
def test_an_event_gives_back_every_use_as_it_was(uses: list[RecordedUse]) -> None:
    codec = EventCodec()
    event = codec.decode("KeyUsed", codec.encode(KeyUsed.of(uses, id=new_uuid())))
    assert isinstance(event, KeyUsed)
    assert list(event.uses) == uses


@given(st.lists(recorded, min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_requests_that_share_a_use_are_told_from_those_between_them(
    some: list[RecordedUse], order: list[int]
) -> None:
    uses = [some[place % len(some)] for place in order]
    assert list(KeyUsed.of(uses, id=new_uuid()).uses) == uses


def test_a_thousand_uses_that_share_their_texts_take_4_bytes_each_or_less() -> None:
    use = Use(ip_address="203.0.113.7", user_agent="python-httpx/0.28", method="POST", path="/v1/things")
    uses = [RecordedUse(occurred_at=at(n / 1000), outcome="valid", use=use) for n in range(1000)]
    assert len(EventCodec().encode(KeyUsed.of(uses, id=new_uuid()))) <= 4 * 1000


def test_a_secret_in_a_request_is_blacked_out() -> None:
    text = secret.generate(KEY)
    cleaned = Use(path=f"/v1?key={text}", user_agent=text, request_id=f"x{text}y").cleaned()
    assert text[25:68] not in repr(cleaned)
    assert cleaned.path == "/v1?key=ak_[redacted]"


def test_a_secret_in_a_request_does_not_show_in_its_repr() -> None:
    text = secret.generate(KEY)
    assert repr(Use(path=f"/v1?key={text}")).count(text[25:68]) == 0


def test_a_use_that_waits_to_be_stored_takes_no_more_room_than_its_limits() -> None:
    assert Use(user_agent="x" * 1_000_000).user_agent == "x" * 511 + "…"
    assert Use(path=secret.generate(KEY) * 1_000).path == "ak_[redacted]" * 157 + "ak_[re…"


def test_texts_that_cannot_be_stored_are_made_so() -> None:
    assert Use(path="/\ud800\0").cleaned() == Use(path="/?\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize(
    ("field", "limit"), [("ip_address", 64), ("user_agent", 512), ("method", 32), ("path", 2048)]
)
def test_a_text_that_is_too_long_is_cut_and_shows_it(field: str, limit: int) -> None:
    assert getattr(Use(**{field: "x" * limit}).cleaned(), field) == "x" * limit
    assert getattr(Use(**{field: "x" * (limit + 1)}).cleaned(), field) == "x" * (limit - 1) + "…"


def test_a_use_holds_texts_only() -> None:
    with pytest.raises(InvalidArgument) as raised:
        Use(ip_address=7)  # type: ignore[arg-type]
    assert raised.value.param == "ip_address"


def test_a_text_of_a_class_of_its_own_is_stored_as_the_text_that_it_is() -> None:
    class Header(str):
        pass

    assert [type(text) for text in cleaned((Header("10.0.0.1"), "GET"))] == [str, str]
