"""The feed: what changed, asked of the primary four times a second, and what follows from each answer.

Everything that is decided about answers is decided here; who carries questions and answers is no matter
(`FeedLink` does, and in the simulation a network that loses them).
"""

import logging
from typing import Any, Protocol
from uuid import UUID, uuid4

import msgspec

from keyledger.domain.secret import digits_of_id
from keyledger.infrastructure.verifying.clock import Clock
from keyledger.infrastructure.verifying.key_cache import KeyCache
from keyledger.infrastructure.verifying.lease import Lease

_log = logging.getLogger("keyledger.feed")

REGISTERED_SECONDS = 60.0
_RENEW_SECONDS = 40.0
_CLEARING_CHANGES = 20_000
_ID_BYTES = 16


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What changed after a position (None: nothing is remembered yet), and when that was sent."""

    sent_at: float
    after: int | None
    verifier: UUID


class Answer(msgspec.Struct, frozen=True):
    """One snapshot of the primary; the fields are in the order of the columns that ask_feed.sql returns.

    server: which server answers, another one after each of its starts; None for a standby.
    changed: the ids of keys that changed, 16 bytes each.
    waiting: how many lifecycle events have no position yet.
    barrier, acknowledged: the last barrier that was raised, and the last that this verifier acknowledged.
    registered_seconds: for how long this verifier stays registered, None where it is not.
    """

    server: str | None
    head: int
    database_time: float
    changed: bytes | None
    waiting: int
    barrier: int
    acknowledged: int | None
    registered_seconds: float | None


class Link(Protocol):
    """Who carries questions to the primary."""

    def ask(self, question: Question) -> Answer:
        """The answer to a question."""
        ...

    def register(self, question: Question, lease_seconds: float) -> None:
        """Register the verifier, or register it for longer."""
        ...

    def acknowledge(self, question: Question, answer: Answer) -> None:
        """Say that the verifier has seen the barrier of an answer, to the server that answered."""
        ...


class Feed:
    """Keeps a cache and a lease true to the primary, answer by answer. One question at a time."""

    def __init__(self, cache: KeyCache[Any], lease: Lease, clock: Clock) -> None:
        self._cache = cache
        self._lease = lease
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """Nothing asked yet: at first, and in a forked child."""
        self.verifier = uuid4()
        self._server: str | None = None
        self._head: int | None = None

    def ask(self, link: Link) -> Answer:
        """One question, and what its answer asks for. Raises what the link raises."""
        question = self.question()
        answer = link.ask(question)
        self.accept(question, answer)
        if answer.server is not None and should_renew(answer):
            link.register(question, self._lease.seconds)
        if answer.acknowledged is not None and answer.barrier > answer.acknowledged:
            link.acknowledge(question, answer)  # what was committed before the barrier is dropped by now
        return answer

    def question(self) -> Question:
        """What to ask now; the lease counts from here."""
        return Question(sent_at=self._clock(), after=self._head, verifier=self.verifier)

    def accept(self, question: Question, answer: Answer) -> None:
        """Drop what changed, and only then hold the lease from the moment when the question was sent."""
        if answer.server is None:
            self._lease.end()
            _log.error(
                "the ledger's DSN leads to a standby: no key is accepted, as a revocation may not show there"
            )
            return
        if self._head is not None and answer.head < self._head:
            self._lost(answer.head)
            return
        if answer.server != self._server:
            self._forget()  # what another server, or this one before it crashed, said may be lost
            self._cache.open(answer.server)
            self._server = answer.server
        else:
            self._drop(answer.changed or b"")
        self._head = answer.head
        if not must_register(answer, self._lease.seconds):
            self._lease.grant(question.sent_at, answer.database_time)

    def heed(self, payload: str) -> bool:
        """Drop the keys that a notification names; whether it asks for a question instead.

        It may be lost, late, or from anybody, so it drops and never extends.
        """
        digits = [part for part in payload.split(",") if part]
        self._cache.drop(digits)
        return not digits

    def _drop(self, changed: bytes) -> None:
        if len(changed) > _CLEARING_CHANGES * _ID_BYTES:
            assert self._server is not None
            self._cache.clear()
            self._cache.open(self._server)
            return
        ids = (changed[place : place + _ID_BYTES] for place in range(0, len(changed), _ID_BYTES))
        self._cache.drop(map(digits_of_id, ids))

    def _lost(self, head: int) -> None:
        """Events that were seen are not there any more: a standby that lagged became the primary, or a backup."""
        _log.error(
            "PostgreSQL has lost events: its last position was %d and is %d now. Nothing is accepted for a moment;"
            " revocations after that position are lost, and must be made again",
            self._head,
            head,
        )
        self._lease.suspend()
        self._forget()

    def _forget(self) -> None:
        self._lease.end()
        self._cache.clear()
        self._server, self._head = None, None


def must_register(answer: Answer, lease_seconds: float) -> bool:
    """Whether a barrier may not wait for this verifier for as long as a lease would hold, and a margin."""
    return answer.registered_seconds is None or answer.registered_seconds < 3 * lease_seconds


def should_renew(answer: Answer) -> bool:
    """Whether it is time to register for longer."""
    return answer.registered_seconds is None or answer.registered_seconds < _RENEW_SECONDS
