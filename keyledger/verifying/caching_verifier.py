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
from keyledger.verifying.cached_key import CachedKey, CachedKeys, pack, stand_in
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
    """Decides from memory while the lease holds, and asks PostgreSQL only what is not there.

    That the lease holds and that the key has not changed is looked at last of all: whatever holds up a
    verification on its way, what it accepts then is right.
    """

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
        self._cached_keys = CachedKeys(cache, get)
        # Nobody knows where in memory a secret of his is looked for, so how long that takes tells him nothing.
        self._salted = hashlib.sha256(os.urandom(_SALT_BYTES))
        self._salted_of_credential = hashlib.sha256(os.urandom(_SALT_BYTES))

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
        cache, cached_keys, digits = self._cache, self._cached_keys, secret[ID]
        cached = cache.ready.recent.get(digits) or cached_keys.make(digits)
        if cached.digest != salted.digest():
            del cached, salted, digits  # now, as what is done after the wait would show
            attempt = attempt_of(secret, wanted, use, of_credential=of_credential)
            return self._waited_out(now, self._from_refusing(attempt))
        lease, code = self._lease, cached.code
        if now >= lease.until or cached.expires_at <= now + lease.ahead_seconds:
            return attempt_of(secret, wanted, use, of_credential=of_credential)
        if wanted and code == "valid" and not cached_keys.grant(cached.packed).allows(wanted):
            code = "insufficient_scope"
        self._recorder.record(cached.high, cached.low, code, use)
        # Last of all, and in this order, as the feed drops before it extends. A use that is overtaken here stays
        # on record; the other way round, one that is accepted could be lost.
        if clock() < lease.until and (
            cache.keys.recent.get(digits) is cached.packed or cache.keeps(digits, cached.packed)
        ):
            cache.hits += 1
            if code is cached.code and cached.answer is not None:
                return cached.answer
            answer = cached_keys.answer(cached.packed, code)
            if code is cached.code:
                cached.answer = answer
            return answer
        return attempt_of(secret, wanted, use, of_credential=of_credential, recorded=code)

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
        self._cache.hits += 1
        return NOT_FOUND

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
        salted = (self._salted_of_credential if attempt.of_credential else self._salted).copy()
        salted.update((as_credential(attempt.secret) if attempt.of_credential else attempt.secret).encode())
        return salted.digest()
