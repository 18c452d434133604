"""The feed: what an answer of the primary does to the cache and the lease."""

import logging
from uuid import UUID

import msgspec
import pytest

from keyledger.domain.ids import new_uuid
from keyledger.domain.secret import digits_of_id
from keyledger.infrastructure.verifying.feed import Answer, Feed, Question
from keyledger.infrastructure.verifying.key_cache import KeyCache
from keyledger.infrastructure.verifying.lease import Lease

KEY, OTHER = new_uuid(), new_uuid()
ANSWER = Answer("a server", 10, 5000.0, None, 0, 0, 0, 60.0)


class World:
    """A feed with its cache and lease, and a primary that answers as it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lease = Lease(1.0, lambda: self.now)
        self.cache: KeyCache[str] = KeyCache(100)
        self.feed = Feed(self.cache, self.lease, lambda: self.now)
        self.answer = ANSWER
        self.asked: list[Question] = []
        self.registered: list[UUID] = []
        self.acknowledged: list[int] = []

    def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.answer

    def register(self, question: Question, lease_seconds: float) -> None:
        self.registered.append(question.verifier)

    def acknowledge(self, question: Question, answer: Answer) -> None:
        self.acknowledged.append(answer.barrier)

    def hear(self, **fields: object) -> None:
        """One question, whose answer differs from the last one in these fields."""
        self.now += 0.25
        self.answer = msgspec.structs.replace(self.answer, **fields)
        self.feed.ask(self)

    def keep(self, *keys: UUID) -> None:
        for key in keys:
            digits = digits_of_id(key.bytes)
            fill = self.cache.fill(digits)
            self.cache.store(fill, b"an answer")
            self.cache.finish(fill)

    def knows(self, key: UUID) -> bool:
        return self.cache.get(digits_of_id(key.bytes)) is not None


@pytest.fixture
def world() -> World:
    """One that has had its first answer, and knows two keys."""
    world = World()
    world.hear()
    world.keep(KEY, OTHER)
    return world


def test_an_answer_grants_the_lease_from_the_sending_of_its_question(world: World) -> None:
    assert world.lease.sent_at == world.asked[-1].sent_at == world.now
    assert world.lease.holds


def test_each_question_goes_on_from_the_last_answer(world: World) -> None:
    world.hear(head=25)
    world.hear()
    assert [question.after for question in world.asked] == [None, 10, 25]


def test_what_changed_is_dropped_and_the_rest_is_kept(world: World) -> None:
    world.hear(changed=KEY.bytes, head=11)
    assert not world.knows(KEY)
    assert world.knows(OTHER)


def test_very_many_changes_empty_the_cache_which_goes_on(world: World) -> None:
    world.hear(changed=bytes(16) * 20_001, head=30_000)
    assert not world.knows(KEY)
    world.keep(KEY)
    assert world.knows(KEY)
    assert world.lease.holds


def test_another_server_empties_the_cache_as_what_the_last_one_said_may_be_lost(world: World) -> None:
    world.hear(server="another server", head=10)
    assert not world.knows(KEY)
    assert world.lease.holds


def test_a_standby_grants_nothing_and_ends_the_lease(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.hear(server=None)
    assert not world.lease.holds
    assert "standby" in caplog.text


def test_an_epoch_that_goes_backwards_empties_the_cache_and_refuses_for_a_lease(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "keyledger.feed"):
        world.hear(head=9)
    assert not world.knows(KEY)
    assert "lost events" in caplog.text
    held = []
    for _ in range(5):
        world.hear()
        held.append(world.lease.holds)
    assert held == [False, False, False, False, True]


@pytest.mark.parametrize("left", [None, 0.5, 2.9])
def test_no_lease_is_granted_to_a_verifier_that_no_barrier_would_wait_for(
    world: World, left: float | None
) -> None:
    before = world.lease.sent_at
    world.hear(registered_seconds=left)
    assert world.lease.sent_at == before
    assert world.registered == [world.feed.verifier]


def test_a_verifier_registers_for_longer_before_it_has_to(world: World) -> None:
    world.hear(registered_seconds=39.0)
    assert world.registered == [world.feed.verifier]
    assert world.lease.sent_at == world.now
    world.hear(registered_seconds=59.0)
    assert len(world.registered) == 1


def test_a_barrier_is_acknowledged_once_what_changed_is_dropped(world: World) -> None:
    world.hear(barrier=3, changed=KEY.bytes, head=11)
    world.hear(acknowledged=3, changed=None)
    assert world.acknowledged == [3]


def test_a_question_that_fails_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_: Question) -> Answer:
        raise ConnectionError

    sent_at = world.lease.sent_at
    monkeypatch.setattr(world, "ask", lost)
    with pytest.raises(ConnectionError):
        world.hear()
    assert world.lease.sent_at == sent_at
    assert world.knows(KEY)


@pytest.mark.parametrize("payload", ["{0}", "{0},", "x,{0},,y"])
def test_a_notification_drops_and_extends_nothing(world: World, payload: str) -> None:
    until = world.lease.until
    assert not world.feed.heed(payload.format(digits_of_id(KEY.bytes)))
    assert not world.knows(KEY)
    assert world.knows(OTHER)
    assert world.lease.until == until


@pytest.mark.parametrize("payload", ["", ","])
def test_a_notification_that_names_no_key_asks_for_a_question(world: World, payload: str) -> None:
    assert world.feed.heed(payload)
    assert world.knows(KEY)


def test_a_forked_child_is_another_verifier_that_has_heard_of_nothing(world: World) -> None:
    before = world.feed.verifier
    world.feed.begin()
    question = world.feed.question()
    assert question.verifier != before
    assert question.after is None
