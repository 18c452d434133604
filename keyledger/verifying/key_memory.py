"""What a ledger keeps in memory of its keys, put together as its settings say."""

import math
from collections.abc import Callable

from keyledger.api_key import APIKey
from keyledger.domain.digest import Peppers
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.instruments.figure import Figure
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.uses.use_recorder import UseRecorder
from keyledger.infrastructure.verifying.barrier import Barrier, VerifierRegister
from keyledger.infrastructure.verifying.clock import monotonic
from keyledger.infrastructure.verifying.feed_thread import FeedThread
from keyledger.infrastructure.verifying.key_cache import KeyCache
from keyledger.infrastructure.verifying.key_changes import KeyChanges
from keyledger.infrastructure.verifying.lease import Lease
from keyledger.settings import Settings
from keyledger.verifying.caching_verifier import CachingVerifier
from keyledger.verifying.recall import CachedKey
from keyledger.verifying.verifier import Verifier

_REFUSAL_SECONDS = 50e-6
"""Some four times what it takes to refuse a wrong secret from memory, so that slower machines manage as well."""


class KeyMemory:
    """The cache of keys, the lease and the feed that keeps both; idle until the first verification."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._settings = settings
        self._verifier: CachingVerifier | None = None
        self.lease = Lease(settings.lease_seconds, monotonic)
        self.cache: KeyCache[CachedKey] = KeyCache(max(1, settings.cache_entries))
        self._feed = FeedThread(
            database,
            self.cache,
            self.lease,
            monotonic,
            interval_seconds=settings.feed_interval_seconds,
            listen=settings.prepared_statements,
        )
        barrier = Barrier(VerifierRegister(database), monotonic)
        self.changes = KeyChanges(self._feed, barrier)

    def verifier(
        self, views: KeyViews, peppers: Peppers, recorder: UseRecorder, get: Callable[[str], APIKey]
    ) -> Verifier:
        """Who decides on secrets; `get` is how the keys that are found are reloaded."""
        if not self._settings.cache_entries:
            return Verifier(views, peppers, recorder, get)
        self._verifier = CachingVerifier(
            views,
            peppers,
            recorder,
            get,
            cache=self.cache,
            lease=self.lease,
            lease_keeper=self._feed,
            clock=monotonic,
            timeout_seconds=self._settings.database_timeout_seconds,
            refusal_seconds=_REFUSAL_SECONDS,
        )
        return self._verifier

    @property
    def hits(self) -> int:
        """How many secrets were decided on from memory."""
        return 0 if self._verifier is None else self._verifier.hits

    def figures(self) -> tuple[Figure, ...]:
        """What status and metrics say of it."""
        cache, lease = self.cache, self.lease
        return (
            Figure.counter("cache.hits", "{verification}", "Secrets decided on from memory", lambda: self.hits),
            Figure.counter(
                "cache.misses", "{verification}", "Secrets for which PostgreSQL was asked", lambda: cache.misses
            ),
            Figure.gauge("cache.keys", "{key}", "Keys in memory, and ids of none", lambda: len(cache)),
            Figure.gauge(
                "lease.age", "s", "Time since the primary was heard of", lambda: _finite(lease.age_seconds)
            ),
        )

    def close(self) -> None:
        """Decide on nothing any more."""
        self._feed.close()


def _finite(seconds: float) -> float:
    """Zero where the primary was not asked yet."""
    return seconds if math.isfinite(seconds) else 0.0
