"""The same API for asyncio: what waits for PostgreSQL waits in a thread, never in the event loop."""

import asyncio
import contextvars
import functools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import ParamSpec, TypeVar

from keyledger.api_key import APIKey
from keyledger.api_keys import APIKeys
from keyledger.audit import Audit
from keyledger.domain.actor import Actor
from keyledger.domain.use import Outcome, Use
from keyledger.infrastructure.database import one_call
from keyledger.replay import Replay
from keyledger.status import Status
from keyledger.verification import Verification
from keyledger.verifying.attempt import Attempt, attempt_of
from keyledger.verifying.verifier import Again, Verifier, accepted

P = ParamSpec("P")
R = TypeVar("R")

_ITEMS = 100


class AsyncActingLedger:
    """`verify` and `authenticate` as coroutines, and `api_keys` with coroutines for methods."""

    def __init__(self, api_keys: APIKeys, verifier: Verifier, threads: "Threads") -> None:
        self._verifier = verifier
        self._verify = threads.awaitable(verifier.verify)
        self._settle = threads.awaitable(verifier.settle)
        self.api_keys = AsyncAPIKeys(api_keys, threads)

    async def verify(self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None) -> Verification:
        """As the ledger's `verify`; from memory at once, in the event loop's own thread."""
        found = self.verify_at_once(secret, scopes=scopes, use=use)
        return found if isinstance(found, Verification) else await found

    def verify_at_once(
        self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None
    ) -> Verification | Awaitable[Verification]:
        """As `verify`, without a coroutine where memory tells."""
        if self._verifier.waits:
            return self._verify(secret, scopes=scopes, use=use)
        found = self._verifier.verify_at_once(secret, scopes, use)
        return self._settle(found) if isinstance(found, Attempt) else found

    @property
    def again(self) -> Again:
        """What becomes of an `Authorization` field that is known from before; for adapters."""
        return self._verifier.again

    def remember(self, field: bytes, secret: str) -> None:
        """Know an `Authorization` field again that held a secret and was let in; for adapters."""
        self._verifier.remember(field, secret)

    def settle(self, secret: str, scopes: tuple[str, ...], use: Use, recorded: Outcome) -> Awaitable[Verification]:
        """As `verify`, of a secret that `again` did not decide on after it had recorded the use."""
        attempt = attempt_of(secret, scopes, use, of_credential=False, recorded=recorded)
        assert isinstance(attempt, Attempt)
        return self._settle(attempt)

    async def verify_credential(
        self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None
    ) -> Verification:
        """As `verify`, of a service credential's secret (`sk_…`), which `verify` does not know."""
        if self._verifier.waits:
            return await self._verify(secret, scopes=scopes, use=use, of_credential=True)
        found = self._verifier.verify_at_once(secret, scopes, use, of_credential=True)
        return await self._settle(found) if isinstance(found, Attempt) else found

    async def authenticate(self, secret: object, *, scopes: Iterable[str] = (), use: Use | None = None) -> APIKey:
        """As the ledger's `authenticate`; from memory at once, in the event loop's own thread."""
        return accepted(await self.verify(secret, scopes=scopes, use=use))


class AsyncLedger(AsyncActingLedger):
    """A KeyLedger's methods as coroutines."""

    def __init__(
        self,
        api_keys: APIKeys,
        verifier: Verifier,
        threads: "Threads",
        *,
        audit: Audit,
        replay: Replay,
        identify: Callable[..., Verification],
        status: Callable[[], Status],
        ping: Callable[[], None],
        catch_up: Callable[[], int],
        close: Callable[[], None],
    ) -> None:
        super().__init__(api_keys, verifier, threads)
        self._parts = api_keys, verifier, threads
        self.audit = AsyncAudit(audit, threads)
        self.replay = AsyncReplay(replay, threads)
        self.identify = threads.awaitable(identify)
        self.status = threads.awaitable(status)
        self.ping = threads.awaitable(ping)
        self.catch_up = threads.awaitable(catch_up)
        self.close = threads.awaitable(close)

    def on_behalf_of(self, actor: Actor) -> AsyncActingLedger:
        """The same API with this actor recorded on each event; waits for nothing."""
        api_keys, verifier, threads = self._parts
        return AsyncActingLedger(api_keys.acting(actor), verifier, threads)


class AsyncAPIKeys:
    """The methods of APIKeys as coroutines."""

    def __init__(self, api_keys: APIKeys, threads: "Threads") -> None:
        self.create = threads.awaitable(api_keys.create)
        self.get_all = threads.awaitable(api_keys.get_all)
        self.window = threads.awaitable(api_keys.window)
        self.get = threads.awaitable(api_keys.get)
        self.update = threads.awaitable(api_keys.update)
        self.revoke = threads.awaitable(api_keys.revoke)
        self.delete = threads.awaitable(api_keys.delete)


class AsyncAudit:
    """The methods of Audit as coroutines, `export` as an asynchronous iterator."""

    def __init__(self, audit: Audit, threads: "Threads") -> None:
        self.history = threads.awaitable(audit.history)
        self.export = threads.iterable(audit.export)
        self.position = threads.awaitable(audit.position)


class AsyncReplay:
    """The methods of Replay as coroutines, `keys_as_of` and `diff` as asynchronous iterators."""

    def __init__(self, replay: Replay, threads: "Threads") -> None:
        self.key_as_of = threads.awaitable(replay.key_as_of)
        self.keys_as_of = threads.iterable(replay.keys_as_of)
        self.diff = threads.iterable(replay.diff)
        self.position = threads.awaitable(replay.position)
        self.rebuild = threads.awaitable(replay.rebuild)
        self.verify_projections = threads.awaitable(replay.verify_projections)


class Threads:
    """Threads of our own: a PostgreSQL that hangs must not take up those that the service's loop shares out."""

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._executors: dict[int, ThreadPoolExecutor] = {}

    def awaitable(self, method: Callable[P, R]) -> Callable[P, Awaitable[R]]:
        """The method as a coroutine function. Cancelling it stops the waiting, not the work."""

        @functools.wraps(method)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            called_at = time.monotonic()  # waiting for a thread counts against the time-out

            def work() -> R:
                with one_call(called_at):
                    return method(*args, **kwargs)

            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(self._executor(), context.run, work)

        return call

    def iterable(self, method: Callable[P, Iterator[R]]) -> Callable[P, AsyncIterator[R]]:
        """The method as an asynchronous iterator's, which fetches so many items at a time in a thread."""
        begin = self.awaitable(method)

        @functools.wraps(method)
        async def iterate(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
            items = await begin(*args, **kwargs)
            loop = asyncio.get_running_loop()
            while some := await loop.run_in_executor(self._executor(), list, islice(items, _ITEMS)):
                for item in some:
                    yield item

        return iterate

    def _executor(self) -> ThreadPoolExecutor:
        """This process's own: a forked child has none of its parent's threads, and perhaps its locks."""
        process = os.getpid()
        if process not in self._executors:
            self._executors.setdefault(process, ThreadPoolExecutor(self._max_workers, "keyledger-aio"))
        return self._executors[process]
