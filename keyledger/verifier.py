"""Verifying a secret, and recording that it was used."""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol, cast
from uuid import UUID

from keyledger.api_key import APIKey, api_key
from keyledger.cached_key import pack
from keyledger.domain import arguments
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import REFUSALS, InvalidArgument, LedgerUnavailable
from keyledger.domain.scopes import Grant
from keyledger.domain.secret import LENGTH, id_digits, parse
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.database import one_call
from keyledger.infrastructure.key_view import KeyView, KeyViews
from keyledger.infrastructure.uses.use_recorder import UseRecorder
from keyledger.infrastructure.verifying.clock import Clock
from keyledger.infrastructure.verifying.key_cache import Entry, Fill, KeyCache
from keyledger.infrastructure.verifying.lease import Lease
from keyledger.verification import Code, Verification

_NO_USE = Use()
_SALT_BYTES = 16
_MALFORMED = Verification(valid=False, code="malformed")
_NOT_FOUND = Verification(valid=False, code="not_found")
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
            recorder.record(self.key_id, outcome, self.use)
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

    @property
    def waits(self) -> bool:
        """Whether also what is decided from memory waits for PostgreSQL, to record the use."""
        return self._recorder.waits

    def verify(self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None) -> Verification:
        """What becomes of a secret. Raises LedgerUnavailable when that cannot be decided."""
        found = self.verify_at_once(secret, scopes=scopes, use=use)
        return self.settle(found) if isinstance(found, Attempt) else found

    def verify_at_once(
        self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None
    ) -> Verification | Attempt:
        """The same without waiting for PostgreSQL; an attempt to be settled where it has to be asked."""
        return _attempt(secret, wanted_scopes(scopes), use)

    def authenticate(self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None) -> APIKey:
        """The key of a secret. Raises the subclass of InvalidAPIKey for the reason, or LedgerUnavailable."""
        return accepted(self.verify(secret, scopes=scopes, use=use))

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
        return Verification(valid=code == "valid", code=code, api_key=key)


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
        cache: KeyCache,
        lease: Lease,
        news: News,
        clock: Clock,
        timeout_seconds: float,
    ) -> None:
        """No verification waits longer than the time-out."""
        super().__init__(views, peppers, recorder, get)
        self._cache = cache
        self._lease = lease
        self._news = news
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        # Nobody knows where in memory a secret of his is looked for, so how long that takes tells him nothing.
        self._salted = hashlib.sha256(os.urandom(_SALT_BYTES))

    def verify_at_once(
        self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None
    ) -> Verification | Attempt:
        """The same from memory alone; an attempt to be settled where PostgreSQL has to be asked."""
        wanted = wanted_scopes(scopes) if scopes != () else ()
        if use is None:
            use = _NO_USE
        elif use.__class__ is not Use:
            _check_use(use)
        if not isinstance(secret, str) or len(secret) != LENGTH or not secret.isascii():
            return _MALFORMED
        salted = self._salted.copy()
        salted.update(secret.encode())
        digest, cache, lease, clock = salted.digest(), self._cache, self._lease, self._clock
        entry = cache.get(digest, id_digits(secret))
        if entry is None:
            return self._attempt_at_unknown(secret, wanted, use)
        now = clock()
        if now >= lease.until or entry.expires_at <= now + lease.ahead_seconds:
            return Attempt(entry.key_id, secret, wanted, use)
        answer: Verification = entry.answer
        if wanted and answer.valid and not _grant(entry).allows(wanted):
            answer = Verification(valid=False, code="insufficient_scope", api_key=answer.api_key)
        self._recorder.record(entry.key_id, cast("Outcome", answer.code), use)
        # Last of all, and in this order, as the feed drops before it extends. A use that is overtaken here stays
        # on record; the other way round, one that is accepted could be lost.
        if clock() < lease.until and (entry.live or (entry.live is None and cache.holds(entry))):
            cache.hits += 1
            return answer
        attempt = Attempt(entry.key_id, secret, wanted, use)
        attempt.recorded = cast("Outcome", answer.code)
        return attempt

    def _attempt_at_unknown(self, secret: str, wanted: tuple[str, ...], use: Use) -> Verification | Attempt:
        """What is not in memory: garbage, a key that is known not to be there, or a question."""
        attempt = _attempt(secret, wanted, use)
        if isinstance(attempt, Attempt) and self._cache.is_absent(id_digits(secret)) and self._lease.holds:
            self._cache.hits += 1
            return _NOT_FOUND
        return attempt

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
        fill = self._cache.fill(id_digits(attempt.secret))
        try:
            found = self._views.fill(attempt.key_id)
            right = self._peppers.matches(found.digest, attempt.key_id, attempt.secret)
            if found.server is None or found.server != fill.server or not self._lease.holds or not fill.live:
                return None
            if found.view is None:
                self._cache.store_absent(fill)
                return _NOT_FOUND
            if not right:
                attempt.record(self._recorder, "not_found")
                return _NOT_FOUND
            return self._kept(fill, found.view, attempt)
        finally:
            self._cache.finish(fill)

    def _kept(self, fill: Fill, view: KeyView, attempt: Attempt) -> Verification | None:
        key, found = api_key(view, self._get), _code(view)
        code = _with_scopes(found, view.scopes, attempt.wanted)
        attempt.record(self._recorder, code)
        self._cache.store(fill, self._digest(attempt.secret), pack(view.id, found, key, view.claims))
        # Last of all, as from memory: the answer may have been on its way for long.
        now, lease = self._clock(), self._lease
        expired = view.expiration is not None and view.expiration.timestamp() <= now + lease.ahead_seconds
        if now < lease.until and fill.live and not (expired and code == "valid"):
            return Verification(valid=code == "valid", code=code, api_key=key)
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


def _grant(entry: Entry) -> Grant:
    if entry.grant is None:
        entry.grant = Grant.of(entry.answer.api_key.scopes)
    return entry.grant


def _code(view: KeyView) -> Outcome:
    if view.revoked_at is not None:
        return "revoked"
    return "expired" if view.expired else "valid"


def _with_scopes(code: Outcome, granted: Iterable[str], wanted: tuple[str, ...]) -> Outcome:
    return "insufficient_scope" if code == "valid" and not Grant.of(granted).allows(wanted) else code
