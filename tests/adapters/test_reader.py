"""What is recorded of a request, whether one like it was met before or not."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyledger import Use
from keyledger.adapters.reader import Fields, Reader
from keyledger.forwarded import TrustedProxies

PEERS = st.sampled_from([None, "", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "testclient"])
AGENTS = st.sampled_from([None, b"", b"curl/8", b"wget", b"\xff", b"a" * 300])
METHODS = st.sampled_from(["GET", "POST"])
PATHS = st.sampled_from(["/", "/a", "/b", "/é", "/" + "a" * 300])
REQUESTS = st.lists(st.tuples(PEERS, AGENTS, METHODS, PATHS), max_size=30)


class Path(str):
    """A server's own kind of text."""

    __slots__ = ()


def reader(again: Callable[..., Any] = lambda *_: None, **options: Any) -> Reader:
    names = {"authorization": b"authorization", "header": None, "request_id": b"x-request-id"}
    return Reader(again, **{"scopes": (), "proxies": TrustedProxies(), **names, **options})


def use(reader: Reader, peer: str | None, agent: bytes | None, method: str, path: str) -> Use:
    fields: Fields = {} if agent is None else {b"user-agent": agent}
    return reader.use(fields, peer, method, path)


@given(REQUESTS)
def test_each_request_has_its_own_texts_whatever_was_met_before(requests: list[Any]) -> None:
    met = reader()

    for request in requests:
        assert use(met, *request) == use(reader(), *request)


def test_requests_that_are_alike_share_what_is_recorded() -> None:
    met = reader()
    request = ("192.0.2.1", b"curl/8", "GET", "/a")

    assert use(met, *request) is use(met, *request)


MANY: dict[str, Callable[[int], tuple[str, bytes, str, str]]] = {
    "paths": lambda number: ("192.0.2.1", b"curl/8", "GET", f"/{number}"),
    "clients": lambda number: (f"2001:db8::{number:x}", b"curl/8", "GET", "/"),
    "agents": lambda number: ("192.0.2.1", b"agent %d" % number, "GET", "/"),
}


@pytest.mark.parametrize("request_of", MANY.values(), ids=MANY.keys())
def test_many_more_requests_than_are_remembered_have_their_own_texts(request_of: Callable[[int], Any]) -> None:
    met = reader()

    for _ in range(2):
        for number in range(1, 3000):
            peer, agent, method, path = request_of(number)
            found = use(met, peer, agent, method, path)
            assert found == Use(ip_address=peer, user_agent=agent.decode(), method=method, path=path)


TWICE = [b"authorization", b"user-agent", b"x-request-id", b"x-forwarded-for"]


@pytest.mark.parametrize("name", TWICE, ids=bytes.decode)
def test_a_request_with_a_field_twice_that_matters_is_not_known(name: bytes) -> None:
    asked: list[Any] = []
    met = reader(lambda *question: asked.append(question), proxies=TrustedProxies(["10.0.0.0/8"]))
    fields = [(each, b"a value") for each in TWICE]

    assert met.known([*fields, (name, b"another")], "10.0.0.1", "GET", "/", ()) is None
    assert asked == []
    met.known(fields, "10.0.0.1", "GET", "/", ())
    assert len(asked) == 1


SHARED: dict[str, dict[str, Any]] = {
    "the request's id": {"request_id": b"x-forwarded-for"},
    "the agent": {"request_id": b"user-agent"},
    "the key": {"header": b"user-agent"},
}


@pytest.mark.parametrize("options", SHARED.values(), ids=SHARED.keys())
def test_where_one_field_is_two_things_no_request_is_known(options: dict[str, Any]) -> None:
    asked: list[Any] = []
    met = reader(lambda *question: asked.append(question), proxies=TrustedProxies(["10.0.0.0/8"]), **options)

    assert met.known([(b"authorization", b"Bearer x")], "10.0.0.1", "GET", "/", ()) is None
    assert asked == []


def test_a_text_of_a_kind_of_its_own_is_recorded_as_any() -> None:
    met = reader()

    for _ in range(2):
        assert use(met, "192.0.2.1", None, "GET", Path("/a")) == use(met, "192.0.2.1", None, "GET", "/a")
