"""Verifying a secret, and recording that it was used."""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol, cast
from uuid import UUID

from keyledger.api_key import APIKey, api_key
from keyledger.cached_key import Entries, Entry, pack, stand_in
from keyledger.domain import arguments
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import REFUSALS, InvalidArgument, LedgerUnavailable
from keyledger.domain.ids import halves, of_halves
from keyledger.domain.scopes import Grant
from keyledger.domain.secret import ID, LENGTH, parse
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.database import one_call
from keyledger.infrastructure.key_view import KeyView, KeyViews
from keyledger.infrastructure.uses.use_recorder import UseRecorder
from keyledger.infrastructure.verifying.clock import Clock, wait_out
from keyledger.infrastructure.verifying.key_cache import Fill, KeyCache, Refusing
from keyledger.infrastructure.verifying.lease import Lease
from keyledger.verification import Code, Verification

_NO_USE = Use()
_SALT_BYTES = 16
_MALFORMED = Verification.of("malformed")
_NOT_FOUND = Verification.of("not_found")
_PLAIN = (tuple, list, set, frozenset)
_MESSAGES: dict[Code, str] = {
    "malformed": "the text is not an API key's secret",
    "not_found": "no API key has this secret",
    "revoked": "the API key has been revoked",
    "expired": "the API key has expired",
    "insufficient_scope": "the API key lacks a scope that this call needs",
}


class Attempt:
    """A secret that is still to be decided on, and what was recorded of it already: that is recorded once."""

    __slots__ = ("key_id", "recorded", "secret", "use", "wanted")

    def __init__(self, key_id: UUID, secret: str, wanted: tuple[str, ...], use: Use) -> None:
        self.key_id = key_id
        self.secret = secret
        self.wanted = wanted
        self.use = use
        self.recorded: Outcome | None = None

    def record(self, recorder: UseRecorder, outcome: Outcome) -> None:
        """Record what it comes to, once."""
        if outcome != self.recorded:
            recorder.record(*halves(self.key_id), outcome, self.use)
            self.recorded = outcome


class News(Protocol):
    """Who keeps the lease."""

    def await_lease(self, deadline: float) -> None:
        """Return once the lease holds. Raises LedgerUnavailable after the deadline."""
        ...

    def ask_now(self) -> None:
        """Have the primary asked at once."""
        ...


class Verifier:
    """Decides on secrets from what PostgreSQL holds at that moment."""

    def __init__(
        self, views: KeyViews, peppers: Peppers, recorder: UseRecorder, get: Callable[[str], APIKey]
    ) -> None:
        """`get` is how the keys that are found are reloaded."""
        self._views = views
        self._peppers = peppers
        self._recorder = recorder
        self._get = get
        self.waits = recorder.waits
        """Whether also what is decided from memory waits for PostgreSQL, to record the use."""

    def verify(self, secret: object, scopes: Iterable[str] = (), use: Use | None = None) -> Verification:
        """What becomes of a secret. Raises LedgerUnavailable when that cannot be decided."""
        found = self.verify_at_once(secret, scopes, use)
        return found if found.__class__ is Verification else self.settle(found)  # type: ignore[arg-type]

    def verify_at_once(
        self, secret: object, scopes: Iterable[str] = (), use: Use | None = None
    ) -> Verification | Attempt:
        """The same without waiting for PostgreSQL; an attempt to be settled where it has to be asked."""
        return _attempt(secret, wanted_scopes(scopes), use)

    def authenticate(self, secret: object, scopes: Iterable[str] = (), use: Use | None = None) -> APIKey:
        """The key of a secret. Raises the subclass of InvalidAPIKey for the reason, or LedgerUnavailable."""
        return accepted(self.verify(secret, scopes, use))

    def settle(self, attempt: Attempt) -> Verification:
        """What PostgreSQL says to an attempt. Raises LedgerUnavailable."""
        found = self._views.find_with_digest(attempt.key_id)
        view, digest = found or (None, None)
        right = self._peppers.matches(digest, attempt.key_id, attempt.secret)
        if view is None:
            return _NOT_FOUND
        code = _with_scopes(_code(view), view.scopes, attempt.wanted) if right else "not_found"
        attempt.record(self._recorder, code)
        key = api_key(view, self._get) if right else None
        return Verification.of(code, key)


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
        cache: KeyCache[Entry],
        lease: Lease,
        news: News,
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
        self._news = news
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._refusal_seconds = refusal_seconds
        self._entries = Entries(cache, get)
        # Nobody knows where in memory a secret of his is looked for, so how long that takes tells him nothing.
        self._salted = hashlib.sha256(os.urandom(_SALT_BYTES))

    def verify_at_once(
        self, secret: object, scopes: Iterable[str] = (), use: Use | None = None
    ) -> Verification | Attempt:
        """The same from memory alone; an attempt to be settled where PostgreSQL has to be asked."""
        clock = self._clock
        now = clock()
        wanted = wanted_scopes(scopes) if scopes != () else ()
        if use is None:
            use = _NO_USE
        elif use.__class__ is not Use:
            _check_use(use)
        if not isinstance(secret, str) or len(secret) != LENGTH or not secret.isascii():
            return _MALFORMED
        salted = self._salted.copy()
        salted.update(secret.encode())
        cache, entries, digits = self._cache, self._entries, secret[ID]
        entry = cache.ready.recent.get(digits) or entries.make(digits)
        if entry.digest != salted.digest():
            del entry, salted, digits  # now, as what is done after the wait would show
            return self._waited_out(now, self._attempt_at_unknown(secret, wanted, use))
        lease, code = self._lease, entry.code
        if now >= lease.until or entry.expires_at <= now + lease.ahead_seconds:
            return Attempt(of_halves(entry.high, entry.low), secret, wanted, use)
        if wanted and code == "valid" and not entries.grant(entry.packed).allows(wanted):
            code = "insufficient_scope"
        self._recorder.record(entry.high, entry.low, code, use)
        # Last of all, and in this order, as the feed drops before it extends. A use that is overtaken here stays
        # on record; the other way round, one that is accepted could be lost.
        if clock() < lease.until and (
            cache.keys.recent.get(digits) is entry.packed or cache.keeps(digits, entry.packed)
        ):
            cache.hits += 1
            if code is entry.code and entry.answer is not None:
                return entry.answer
            answer = entries.answer(entry.packed, code)
            if code is entry.code:
                entry.answer = answer
            return answer
        attempt = Attempt(of_halves(entry.high, entry.low), secret, wanted, use)
        attempt.recorded = code
        return attempt

    def _waited_out(self, began: float, found: Verification | Attempt) -> Verification | Attempt:
        """The same; of a secret that is known to be wrong only when it does not tell why."""
        if found is _NOT_FOUND:
            wait_out(self._refusal_seconds, self._clock, began)
        return found

    def _attempt_at_unknown(self, secret: str, wanted: tuple[str, ...], use: Use) -> Verification | Attempt:
        """What is no secret of those in memory: garbage, a secret that is known to be wrong, or a question.

        A wrong one goes the same way whether its key exists or not, so how long that takes does not tell.
        """
        attempt = _attempt(secret, wanted, use)
        if not isinstance(attempt, Attempt):
            return attempt
        refusing = self._cache.refusing(secret[ID])
        if refusing is None or not self._lease.holds:
            return attempt
        if self._peppers.matches(refusing.digest, attempt.key_id, secret):
            return attempt
        self._recorder.refuse(*halves(attempt.key_id), use, known=refusing.is_of_a_key)
        self._cache.hits += 1
        return _NOT_FOUND

    def settle(self, attempt: Attempt) -> Verification:
        """Read the key, as often as it changes meanwhile, under a lease. Raises LedgerUnavailable."""
        self._cache.misses += 1
        deadline = self._clock() + self._timeout_seconds
        with one_call():
            while self._clock() < deadline:
                self._news.await_lease(deadline)
                answer = self._fill(attempt)
                if answer is not None:
                    return answer
                self._news.ask_now()
        raise LedgerUnavailable("the key, or what is known of PostgreSQL, changes faster than it can be read")

    def _fill(self, attempt: Attempt) -> Verification | None:
        """What PostgreSQL says of a key, kept for the next time; None where that is not to be believed."""
        fill = self._cache.fill(attempt.secret[ID])
        try:
            found = self._views.fill(attempt.key_id)
            right = self._peppers.matches(found.digest, attempt.key_id, attempt.secret)
            if found.server is None or found.server != fill.server or not self._lease.holds or not fill.live:
                return None
            if found.view is None:
                nobody = stand_in(attempt.key_id)
                refusing = Refusing(digits=fill.digits, digest=self._peppers.nobodys(), stand_in=nobody)
                self._cache.store_refusing(fill, refusing)
                return _NOT_FOUND
            if not right:
                attempt.record(self._recorder, "not_found")
                if found.digest is not None:
                    self._cache.store_refusing(fill, Refusing(digits=fill.digits, digest=found.digest))
                return _NOT_FOUND
            return self._kept(fill, found.view, attempt)
        finally:
            self._cache.finish(fill)

    def _kept(self, fill: Fill, view: KeyView, attempt: Attempt) -> Verification | None:
        found = _code(view)
        code = _with_scopes(found, view.scopes, attempt.wanted)
        attempt.record(self._recorder, code)
        packed = pack(self._digest(attempt.secret), view, found)
        self._cache.store(fill, packed)
        # Last of all, as from memory: the answer may have been on its way for long.
        now, lease = self._clock(), self._lease
        expired = view.expiration is not None and view.expiration.timestamp() <= now + lease.ahead_seconds
        if now < lease.until and fill.live and not (expired and code == "valid"):
            return self._entries.answer(packed, code)
        return None

    def _digest(self, secret: str) -> bytes:
        salted = self._salted.copy()
        salted.update(secret.encode())
        return salted.digest()


def accepted(found: Verification) -> APIKey:
    """The key of an accepted secret. Raises the subclass of InvalidAPIKey for the reason."""
    if not found.valid:
        raise REFUSALS[found.code](_MESSAGES[found.code])
    assert found.api_key is not None
    return found.api_key


def wanted_scopes(scopes: object) -> tuple[str, ...]:
    """The scopes that a call asks for. Raises InvalidArgument."""
    if isinstance(scopes, _PLAIN):
        try:
            return _checked_scopes(tuple(scopes))
        except TypeError:  # what has no hash is no text either
            pass
    return arguments.scopes(scopes)


@lru_cache(maxsize=1024)
def _checked_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    return arguments.scopes(scopes)


def _attempt(secret: object, wanted: tuple[str, ...], use: Use | None) -> Verification | Attempt:
    _check_use(use)
    key_id = parse(secret)
    if key_id is None:
        return _MALFORMED
    return Attempt(key_id, cast("str", secret), wanted, use or _NO_USE)


def _check_use(use: object) -> None:
    if use is not None and not isinstance(use, Use):
        raise InvalidArgument("use", "a Use or None")


def _code(view: KeyView) -> Outcome:
    if view.revoked_at is not None:
        return "revoked"
    return "expired" if view.expired else "valid"


def _with_scopes(code: Outcome, granted: Iterable[str], wanted: tuple[str, ...]) -> Outcome:
    if wanted and code == "valid" and not Grant.of(granted).allows(wanted):
        return "insufficient_scope"
    return code
