"""Verifiers with one rule broken each: the simulation must find every one of them out."""

import math
from collections.abc import Callable
from typing import Any
from uuid import UUID

from simulation.process import Parts

from keyledger.api_key import APIKey, api_key
from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.secret import ID
from keyledger.infrastructure.verifying import barrier, feed
from keyledger.infrastructure.verifying.feed import Answer, Feed, Link, Question
from keyledger.infrastructure.verifying.key_cache import KeyCache
from keyledger.infrastructure.verifying.lease import Lease
from keyledger.verification import Verification
from keyledger.verifying.attempt import Attempt, code_of
from keyledger.verifying.cached_key import NO_KEY, CachedKey, pack
from keyledger.verifying.caching_verifier import CachingVerifier
from keyledger.verifying.verifier import with_scopes


def _dawdle(clock: Callable[[], float]) -> None:
    """Whoever looks at the clock may be held up before he does."""
    for _ in range(10):
        clock()


class EndlessLease(Lease):
    def grant(self, sent_at: float, database_time: float) -> None:
        super().grant(sent_at, database_time)
        self.until = math.inf


class LeaseFromReceipt(Lease):
    def grant(self, sent_at: float, database_time: float) -> None:
        super().grant(self._clock(), database_time)


class LongLease(Lease):
    """Is a tenth longer than a lease."""

    def grant(self, sent_at: float, database_time: float) -> None:
        super().grant(sent_at, database_time)
        self.until = self.sent_at + self.seconds * 1.1


class OwnClockForExpiry(Lease):
    """Takes this process's clock for the database's, though it is 3 s behind."""

    def grant(self, sent_at: float, database_time: float) -> None:
        super().grant(sent_at, database_time - 3.0)


class CredulousFill(CachingVerifier):
    """Keeps whatever a fill brings, though it does not answer with it."""

    def _fill(self, attempt: Attempt) -> Verification | None:
        fill = self._cache.fill(attempt.secret[3:25])
        view = self._views.look_up(attempt.key_id).view
        if fill.live or view is None:
            self._cache.finish(fill)
            return super()._fill(attempt)
        fill.live = True
        self._cache.store(fill, pack(self._digest(attempt), view, code_of(view)))
        raise LedgerUnavailable("to be tried again")


class BlindToChanges(KeyCache[CachedKey]):
    """Forgets a key, but does not tell whoever is about to answer with what was made of it."""

    def keeps(self, digits: str, packed: bytes) -> bool:
        super().keeps(digits, packed)
        return True


class BlindOnceReady(KeyCache[CachedKey]):
    """Has what was made of a key at hand even after that changed, and does not look again."""

    def keeps(self, digits: str, packed: bytes) -> bool:
        return digits in self.ready.recent[0] or super().keeps(digits, packed)


class StaleFill(CachingVerifier):
    """Believes an answer however old it is, and whatever has changed since."""

    def _fill(self, attempt: Attempt) -> Verification | None:
        view = self._views.look_up(attempt.key_id).view
        if view is None:
            return None
        code = with_scopes(code_of(view), view.scopes, attempt.wanted)
        attempt.record(self._recorder, code)
        return Verification.of(code, api_key(view, self._get))


class AnyServer(CachingVerifier):
    """Does not ask which server says what a key is."""

    def _fill(self, attempt: Attempt) -> Verification | None:
        views, self._views = self._views, _Renamed(self._views, self._cache)  # type: ignore[assignment]
        try:
            return super()._fill(attempt)
        finally:
            self._views = views


class _Renamed:
    def __init__(self, views: Any, cache: KeyCache[CachedKey]) -> None:
        self._views = views if not isinstance(views, _Renamed) else views._views
        self._cache = cache

    def look_up(self, key_id: UUID) -> Any:
        found = self._views.look_up(key_id)
        return type(found)(self._cache._server, found.view, found.digest)


class KnownForGood(CachingVerifier):
    """Lets a field in again for as long as the lease holds, whatever became of its key."""

    def __init__(self, *args: Any, **parts: Any) -> None:
        super().__init__(*args, **parts)
        self._let_in: dict[tuple[bytes, tuple[str, ...]], APIKey] = {}
        again = self.again

        def let_in(field: bytes, wanted: tuple[str, ...], use: Any) -> Any:
            if (field, wanted) in self._let_in and self._lease.holds:
                return self._let_in[field, wanted]
            found = again(field, wanted, use)
            if isinstance(found, APIKey):
                self._let_in[field, wanted] = found
            return found

        self.again = let_in


class LooksFirst(CachingVerifier):
    """Looks at the lease before it records the use, and not after."""

    def verify_at_once(
        self, secret: Any, scopes: Any = (), use: Any = None, *, of_credential: bool = False
    ) -> Verification | Attempt:
        entry = self._cached_keys.make(secret[ID])
        now = self._clock()
        if entry is NO_KEY or now >= self._lease.until or entry.expires_at <= now + self._lease.ahead_seconds:
            return super().verify_at_once(secret, scopes, use, of_credential=of_credential)
        code = entry.code
        if code == "valid" and not self._cached_keys.allows(entry.packed, scopes):
            code = "insufficient_scope"
        self._recorder.record(entry.high, entry.low, code, use)
        return self._cached_keys.answer(entry.packed, code)


class ExtendingNotifications(Feed):
    """Takes a notification for a sign that all is well."""

    def heed(self, payload: str) -> bool:
        found = super().heed(payload)
        if self._server is not None:
            now = self._clock()
            self._lease.grant(now, now + self._lease.ahead_seconds)
        return found


class LeaseBeforeDrop(Feed):
    """Holds the lease before what changed is dropped, and is often held up in between."""

    def accept(self, question: Question, answer: Answer) -> None:
        if answer.server == self._server:
            self._lease.grant(question.sent_at, answer.database_time)
            _dawdle(self._clock)
        super().accept(question, answer)


class FailoverBlind(Feed):
    """Goes on after a failover as if nothing had happened."""

    def accept(self, question: Question, answer: Answer) -> None:
        assert answer.server is not None
        if self._server is not None:
            self._server, self._head = answer.server, None
            self._cache.open(answer.server)
        super().accept(question, answer)


class HastyAcknowledgement(Feed):
    """Acknowledges barriers as soon as it hears of them, and is often held up before it drops what changed."""

    def ask(self, link: Link) -> Answer:
        question = self.question()
        answer = link.ask(question)
        if answer.acknowledged is not None and answer.barrier > answer.acknowledged:
            link.acknowledge(question, answer)
            _dawdle(self._clock)
        self.accept(question, answer)
        if feed.should_renew(answer):
            link.register(question, self._lease.seconds)
        return answer


class Unregistered(Feed):
    """Decides without being registered."""

    def ask(self, link: Link) -> Answer:
        question = self.question()
        answer = link.ask(question)
        pretended = Answer(*answer.__reduce__()[1][:-1], 60.0)
        self.accept(question, pretended)
        return answer


class NoBarrier(barrier.Barrier):
    """Returns at once."""

    def wait(self) -> None:
        self._register.raise_barrier()


class BarrierForOthers(barrier.Barrier):
    """Takes it that this process knows what it changed."""

    def wait(self) -> None:
        process: Any = self._register
        server = process._server

        class Others:
            def raise_barrier(self) -> int:
                number: int = process.raise_barrier()
                return number

            def unacknowledged(self, number: int) -> tuple[int, float]:
                count, lease_seconds = process.unacknowledged(number)
                _, _, mine = server.tables.verifiers.get(process.feed.verifier, (0.0, 0.0, number))
                return count - (mine < number), lease_seconds

        barrier.Barrier(Others(), self._clock, self._sleep).wait()


class HalfBarrier(barrier.Barrier):
    """Waits for half a lease."""

    def wait(self) -> None:
        register = self._register

        class Half:
            def raise_barrier(self) -> int:
                return register.raise_barrier()

            def unacknowledged(self, number: int) -> tuple[int, float]:
                count, lease_seconds = register.unacknowledged(number)
                return count, lease_seconds / 2

        self._register = Half()
        try:
            super().wait()
        finally:
            self._register = register


THE_SIX: dict[str, Parts] = {
    "no lease": Parts(lease=EndlessLease),
    "a lease that counts from the receipt": Parts(lease=LeaseFromReceipt),
    "no fill check": Parts(verifier=CredulousFill),
    "a stale fill": Parts(verifier=StaleFill),
    "a serial cursor": Parts(asks="serial"),
    "reading from a replica": Parts(replica_lag_seconds=0.8),
}
"""Those that every run of the tests finds out; the others, those that ask for the slow ones as well."""

OTHERS: dict[str, Parts] = {
    "a lease that is too long": Parts(lease=LongLease),
    "the outbox alone": Parts(asks="outbox"),
    "positions alone": Parts(asks="positions"),
    "fills from any server": Parts(verifier=AnyServer),
    "notifications that extend the lease": Parts(feed=ExtendingNotifications),
    "a lease before the drop": Parts(feed=LeaseBeforeDrop),
    "a failover that is not looked at": Parts(feed=FailoverBlind),
    "an entry that changes unseen": Parts(cache=BlindToChanges),
    "an entry that is ready and changes unseen": Parts(cache=BlindOnceReady),
    "a field that is known for good": Parts(verifier=KnownForGood),
    "the lease looked at first": Parts(verifier=LooksFirst),
    "expiry by the process's own clock": Parts(lease=OwnClockForExpiry),
    "a barrier acknowledged before the drop": Parts(feed=HastyAcknowledgement),
    "a verifier that is not registered": Parts(feed=Unregistered),
    "no barrier": Parts(barrier=NoBarrier),
    "a barrier for others alone": Parts(barrier=BarrierForOthers),
    "half a barrier": Parts(barrier=HalfBarrier),
}
