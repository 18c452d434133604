"""Verifying from memory, under a lease."""

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import Protocol

from keyledger.api_key import APIKey
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import LedgerUnavailable
from keyledger.domain.ids import halves
from keyledger.domain.secret import ID, LENGTH, as_credential
from keyledger.domain.use import Use
from keyledger.infrastructure.database import one_call
from keyledger.infrastructure.key_view import KeyView, KeyViews
from keyledger.infrastructure.uses.use_recorder import UseRecorder
from keyledger.infrastructure.verifying.clock import Clock, wait_out
from keyledger.infrastructure.verifying.key_cache import Fill, KeyCache, Refusing
from keyledger.infrastructure.verifying.lease import Lease
from keyledger.verification import MALFORMED, NOT_FOUND, Verification
from keyledger.verifying.attempt import NO_USE, Attempt, attempt_of, check_use, code_of, wanted_scopes
from keyledger.verifying.cached_key import CachedKeys, pack, stand_in
from keyledger.verifying.recall import CachedKey, Recall
from keyledger.verifying.verifier import Verifier, with_scopes

_SALT_BYTES = 16


class LeaseKeeper(Protocol):
    """Who keeps the lease."""

    def await_lease(self, deadline: float) -> None:
        """Return once the lease holds. Raises LedgerUnavailable after the deadline."""
        ...

    def ask_now(self) -> None:
        """Have the primary asked at once."""
        ...


class CachingVerifier(Verifier):
    """Decides from memory while the lease holds, and asks PostgreSQL only what is not there."""

    def __init__(
        self,
        views: KeyViews,
        peppers: Peppers,
        recorder: UseRecorder,
        get: Callable[[str], APIKey],
        *,
        cache: KeyCache[CachedKey],
        lease: Lease,
        lease_keeper: LeaseKeeper,
        clock: Clock,
        timeout_seconds: float,
        refusal_seconds: float,
    ) -> None:
        """No verification waits longer than the time-out.

        To refuse a wrong secret from memory takes `refusal_seconds`, or if it has to a whole number of them.
        """
        super().__init__(views, peppers, recorder, get)
        self._cache = cache
        self._lease = lease
        self._lease_keeper = lease_keeper
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._refusal_seconds = refusal_seconds
        self._cached_keys = cached_keys = CachedKeys(cache, get)
        self._recall = Recall(cache, lease, recorder, clock, allows=cached_keys.allows, answer=cached_keys.answer)
        if not self.waits:
            self.again = self._recall.again
        # Nobody knows where in memory a secret of his is looked for, so how long that takes tells him nothing.
        self._salted = hashlib.blake2b(os.urandom(_SALT_BYTES), digest_size=32)
        self._salted_of_credential = hashlib.blake2b(os.urandom(_SALT_BYTES), digest_size=32)

    def verify_at_once(
        self, secret: object, scopes: Iterable[str] = (), use: Use | None = None, *, of_credential: bool = False
    ) -> Verification | Attempt:
        """What becomes of a secret by memory alone; an attempt to be settled where PostgreSQL has to be asked."""
        clock = self._clock
        now = clock()
        wanted = wanted_scopes(scopes) if scopes != () else ()
        if use is None:
            use = NO_USE
        elif use.__class__ is not Use:
            check_use(use)
        if not isinstance(secret, str) or len(secret) != LENGTH or not secret.isascii():
            return MALFORMED
        salted = (self._salted_of_credential if of_credential else self._salted).copy()
        salted.update(secret.encode())
        digits = secret[ID]
        cached = self._cache.ready.recent[0].get(digits) or self._cached_keys.make(digits)
        if cached.digest != salted.digest():
            del cached, salted, digits  # now, as what is done after the wait would show
            attempt = attempt_of(secret, wanted, use, of_credential=of_credential)
            return self._waited_out(now, self._from_refusing(attempt))
        found = self._recall.decide(cached, wanted, use, now)
        if isinstance(found, Verification):
            return found
        return attempt_of(secret, wanted, use, of_credential=of_credential, recorded=found)

    def _waited_out(self, began: float, found: Verification | Attempt) -> Verification | Attempt:
        """What was found; of a secret that is known to be wrong only when the time does not tell why."""
        if found is NOT_FOUND:
            wait_out(self._refusal_seconds, self._clock, began)
        return found

    def _from_refusing(self, attempt: Verification | Attempt) -> Verification | Attempt:
        """What is no secret of those in memory: garbage, a secret that is known to be wrong, or a question.

        A wrong one goes the same way whether its key exists or not, so how long that takes does not tell.
        """
        if not isinstance(attempt, Attempt):
            return attempt
        refusing = self._cache.refusing(attempt.secret[ID])
        if refusing is None or not self._lease.holds:
            return attempt
        if self._peppers.matches(refusing.digest, attempt.key_id, attempt.secret):
            return attempt
        self._recorder.refuse(*halves(attempt.key_id), attempt.use, known=refusing.is_of_a_key)
        self._recall.hit()
        return NOT_FOUND

    @property
    def hits(self) -> int:
        """How many secrets were decided on without PostgreSQL."""
        return self._recall.hits

    def remember(self, field: bytes, secret: str) -> None:
        """Know a field again that held the secret and was let in, if the key is in use all the time."""
        cached = self._cache.ready.recent[0].get(secret[ID])
        if cached is not None and cached.code == "valid" and cached.digest == _digest(self._salted, secret):
            self._recall.keep(field, cached, self._cached_keys.shared_key(cached.packed))

    def settle(self, attempt: Attempt) -> Verification:
        """Read the key, as often as it changes meanwhile, under a lease. Raises LedgerUnavailable."""
        self._cache.misses += 1
        deadline = self._clock() + self._timeout_seconds
        with one_call():
            while self._clock() < deadline:
                self._lease_keeper.await_lease(deadline)
                answer = self._fill(attempt)
                if answer is not None:
                    return answer
                self._lease_keeper.ask_now()
        raise LedgerUnavailable("the key, or what is known of PostgreSQL, changes faster than it can be read")

    def _fill(self, attempt: Attempt) -> Verification | None:
        """What PostgreSQL says of a key, kept for the next time; None where that is not to be believed."""
        fill = self._cache.fill(attempt.secret[ID])
        try:
            found = self._views.look_up(attempt.key_id)
            right = attempt.is_right(found.view, found.digest, self._peppers)
            if found.server is None or found.server != fill.server or not self._lease.holds or not fill.live:
                return None
            if found.view is None:
                nobody = stand_in(attempt.key_id)
                refusing = Refusing(digits=fill.digits, digest=self._peppers.nobodys(), stand_in=nobody)
                self._cache.store_refusing(fill, refusing)
                return NOT_FOUND
            if not right:
                attempt.record(self._recorder, "not_found")
                if found.digest is not None:
                    self._cache.store_refusing(fill, Refusing(digits=fill.digits, digest=found.digest))
                return NOT_FOUND
            return self._kept(fill, found.view, attempt)
        finally:
            self._cache.finish(fill)

    def _kept(self, fill: Fill, view: KeyView, attempt: Attempt) -> Verification | None:
        found = code_of(view)
        code = with_scopes(found, view.scopes, attempt.wanted)
        attempt.record(self._recorder, code)
        packed = pack(self._digest(attempt), view, found)
        self._cache.store(fill, packed)
        # Last of all, as from memory: the answer may have been on its way for long.
        now, lease = self._clock(), self._lease
        expired = view.expiration is not None and view.expiration.timestamp() <= now + lease.ahead_seconds
        if now < lease.until and fill.live and not (expired and code == "valid"):
            return self._cached_keys.answer(packed, code)
        return None

    def _digest(self, attempt: Attempt) -> bytes:
        if attempt.of_credential:
            return _digest(self._salted_of_credential, as_credential(attempt.secret))
        return _digest(self._salted, attempt.secret)


def _digest(salt: "hashlib.blake2b", secret: str) -> bytes:
    salted = salt.copy()
    salted.update(secret.encode())
    return salted.digest()
