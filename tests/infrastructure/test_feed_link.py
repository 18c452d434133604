"""The statements of the feed, on a real PostgreSQL: no change is ever missing in an answer."""

import socket
from collections.abc import Callable, Iterator
from threading import Event, Thread
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from keyledger import KeyLedger, Settings
from keyledger.domain.ids import parse_key_id
from keyledger.domain.secret import digits_of_id
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.verifying.barrier import VerifierRegister
from keyledger.infrastructure.verifying.feed import Answer, Question
from keyledger.infrastructure.verifying.feed_link import FeedLink, payloads

STILL = Settings(flush_interval_seconds=600, background_worker=False)
MYSELF, OTHER = uuid4(), uuid4()


@pytest.fixture
def ledger(open_ledger: Callable[..., KeyLedger]) -> KeyLedger:
    """A ledger that gives no positions by itself."""
    return open_ledger(STILL)


@pytest.fixture
def link(database: Database) -> Iterator[FeedLink]:
    link = FeedLink(database, listen=True, wait_seconds=10.0)
    yield link
    link.close()


def about(after: int | None = None, verifier: UUID = MYSELF) -> Question:
    return Question(sent_at=0.0, after=after, verifier=verifier)


def changed(answer: Answer) -> set[UUID]:
    found = answer.changed or b""
    return {UUID(bytes=found[place : place + 16]) for place in range(0, len(found), 16)}


def made(ledger: KeyLedger) -> UUID:
    return parse_key_id(ledger.api_keys.create(name="a key", subject="user_1").id)


def key_text(key_id: UUID) -> str:
    return f"ak_{key_id.hex}"


def test_a_change_is_named_while_it_waits_for_its_position_and_after_it(
    ledger: KeyLedger, database: Database, link: FeedLink
) -> None:
    before = link.ask(about()).head
    key = made(ledger)
    waiting = link.ask(about(before))
    Sequencer(database).catch_up()
    placed = link.ask(about(before))

    assert (changed(waiting), waiting.waiting) == ({key}, 1)
    assert (changed(placed), placed.waiting, placed.head) == ({key}, 0, before + 1)
    assert changed(link.ask(about(placed.head))) == set()


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger, key: ledger.api_keys.update(key, description="new"),
        lambda ledger, key: ledger.api_keys.revoke(key),
    ],
    ids=["update", "revoke"],
)
def test_each_change_is_named(
    ledger: KeyLedger, database: Database, link: FeedLink, change: Callable[[KeyLedger, str], object]
) -> None:
    key = made(ledger)
    made(ledger)
    head = Sequencer(database).catch_up()

    change(ledger, key_text(key))

    assert changed(link.ask(about(head))) == {key}


def test_uses_are_no_changes(ledger: KeyLedger, database: Database, link: FeedLink) -> None:
    key = ledger.api_keys.create(name="a key", subject="user_1")
    head = Sequencer(database).catch_up()
    ledger.verify(key.secret)
    ledger._recorder.flush()
    assert changed(link.ask(about(head))) == set()
    Sequencer(database).catch_up()
    assert changed(link.ask(about(head))) == set()


def test_no_change_is_missing_in_the_answers_while_positions_are_given(
    ledger: KeyLedger, database: Database, link: FeedLink
) -> None:
    over, created = Event(), list[UUID]()
    head, named = link.ask(about()).head, set[UUID]()

    def write() -> None:
        for _ in range(150):
            created.append(made(ledger))
        over.set()

    def give() -> None:
        while not over.is_set():
            Sequencer(database).catch_up()

    threads = [Thread(target=write), Thread(target=give)]
    for thread in threads:
        thread.start()
    while not over.is_set():
        known = set(created)
        answer = link.ask(about(head))
        named |= changed(answer)
        assert known <= named, "committed before the question, and not in its answer nor in one before"
        head = answer.head
    for thread in threads:
        thread.join()
    assert set(created) <= named | changed(link.ask(about(head)))


def test_the_server_of_an_answer_is_that_of_a_key_looked_up(link: FeedLink, database: Database) -> None:
    found = KeyViews(database).look_up(uuid4())
    assert found.server == link.ask(about()).server
    assert found.server is not None
    assert (found.view, found.digest) == (None, None)


def test_looking_up_reads_the_key_and_its_digest(ledger: KeyLedger, database: Database) -> None:
    created, views = ledger.api_keys.create(name="one", subject="org_1"), KeyViews(database)
    key = parse_key_id(created.id)
    found = views.look_up(key)
    assert found.view == views.find(key)
    assert found.digest is not None
    assert ledger._peppers.matches(found.digest, key, str(created.secret))
    ledger.api_keys.revoke(key_text(key))
    after = views.look_up(key).view
    assert after is not None
    assert after.revoked_at is not None


def test_a_verifier_is_registered_for_a_minute_and_no_more_once_it_has_left(link: FeedLink) -> None:
    assert link.ask(about()).registered_seconds is None
    link.register(about(), 1.0)
    left = link.ask(about()).registered_seconds
    assert left is not None
    assert 0 < left <= 60
    link.leave(MYSELF)
    assert link.ask(about()).registered_seconds is None


def test_a_barrier_waits_for_those_that_have_not_acknowledged_it(link: FeedLink, database: Database) -> None:
    register = VerifierRegister(database)
    for verifier, lease_seconds in ((MYSELF, 1.0), (OTHER, 2.5)):
        link.register(about(verifier=verifier), lease_seconds)
    assert register.unacknowledged(0) == (0, 0.0)

    number = register.raise_barrier()

    assert register.unacknowledged(number) == (2, 2.5)
    link.acknowledge(about(verifier=OTHER), link.ask(about(verifier=OTHER)))
    assert register.unacknowledged(number) == (1, 1.0)
    link.acknowledge(about(), link.ask(about()))
    assert register.unacknowledged(number) == (0, 0.0)


def test_who_registers_after_a_barrier_is_not_waited_for(link: FeedLink, database: Database) -> None:
    number = VerifierRegister(database).raise_barrier()
    link.register(about(), 1.0)
    assert VerifierRegister(database).unacknowledged(number) == (0, 0.0)


def test_what_another_server_was_told_of_a_barrier_is_no_acknowledgement(
    link: FeedLink, database: Database
) -> None:
    link.register(about(), 1.0)
    number = VerifierRegister(database).raise_barrier()
    server, *rest = msgspec.structs.astuple(link.ask(about()))
    link.acknowledge(about(), Answer(f"{server}1", *rest))
    assert VerifierRegister(database).unacknowledged(number) == (1, 1.0)


def test_who_was_not_heard_of_for_a_minute_is_not_waited_for(link: FeedLink, database: Database, dsn: str) -> None:
    link.register(about(), 1.0)
    number = VerifierRegister(database).raise_barrier()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE keyledger.verifiers SET expires_at = now() - interval '1 second'")
    assert VerifierRegister(database).unacknowledged(number) == (0, 0.0)


def test_a_notification_and_a_barrier_wake_who_listens(link: FeedLink, database: Database) -> None:
    ear, bell = socket.socketpair()
    with ear, bell:
        link.ask(about())
        digits = [digits_of_id(uuid4().bytes) for _ in range(700)]
        other = FeedLink(database, listen=False, wait_seconds=10.0)
        other.announce(digits)
        other.close()
        heard: list[str] = []
        while len(heard) < 3:
            heard += link.wait(10.0, ear)
        assert heard == payloads(digits)
        assert ",".join(heard).split(",") == digits
        assert max(map(len, heard)) < 8_000

        VerifierRegister(database).raise_barrier()
        assert link.wait(10.0, ear) == [""]


def test_a_bell_ends_a_wait(link: FeedLink) -> None:
    ear, bell = socket.socketpair()
    with ear, bell:
        bell.send(b"\0")
        assert link.wait(60.0, ear) == []
