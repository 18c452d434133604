"""A ledger in the hands of an actor."""

from collections.abc import Iterable
from functools import cached_property

from keyledger.aio import AsyncActingLedger, Threads
from keyledger.api_key import APIKey
from keyledger.api_keys import APIKeys
from keyledger.domain.use import Use
from keyledger.verification import Verification
from keyledger.verifying.verifier import Verifier


class ActingLedger:
    """A ledger's keys and verification, with an actor recorded on each event."""

    def __init__(self, api_keys: APIKeys, verifier: Verifier, threads: Threads) -> None:
        self.api_keys = api_keys
        self._verifier = verifier
        self._threads = threads

    @cached_property
    def aio(self) -> AsyncActingLedger:
        """The same methods as coroutines."""
        return AsyncActingLedger(self.api_keys, self._verifier, self._threads)

    def verify(self, secret: str, *, scopes: Iterable[str] = (), use: Use | None = None) -> Verification:
        """Whether a secret is accepted, for these scopes, now. Never raises for a bad secret.

        An accepted use is recorded. Raises LedgerUnavailable when the ledger cannot decide: never an acceptance.
        """
        return self._verifier.verify(secret, scopes=scopes, use=use)

    def authenticate(self, secret: str, *, scopes: Iterable[str] = (), use: Use | None = None) -> APIKey:
        """The key of an accepted secret. Raises the subclass of InvalidAPIKey that says why it is refused."""
        return self._verifier.authenticate(secret, scopes=scopes, use=use)
