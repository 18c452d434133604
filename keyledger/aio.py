"""The same API for asyncio: what waits for PostgreSQL waits in a thread, never in the event loop."""

import asyncio
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from keyledger.api_keys import APIKeys

if TYPE_CHECKING:
    from keyledger.ledger import ActingLedger

P = ParamSpec("P")
R = TypeVar("R")


class AsyncLedger:
    """`verify` and `authenticate` as coroutines, and `api_keys` with coroutines for methods."""

    def __init__(self, ledger: "ActingLedger", max_workers: int) -> None:
        threads = Threads(max_workers)
        self.verify = threads.awaitable(ledger.verify)
        self.authenticate = threads.awaitable(ledger.authenticate)
        self.api_keys = AsyncAPIKeys(ledger.api_keys, threads)


class AsyncAPIKeys:
    """The methods of APIKeys as coroutines."""

    def __init__(self, api_keys: APIKeys, threads: "Threads") -> None:
        self.create = threads.awaitable(api_keys.create)
        self.get_all = threads.awaitable(api_keys.get_all)
        self.get = threads.awaitable(api_keys.get)
        self.update = threads.awaitable(api_keys.update)
        self.revoke = threads.awaitable(api_keys.revoke)


class Threads:
    """Threads of our own: a PostgreSQL that hangs must not take up those that the service's loop shares out."""

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._lock = threading.Lock()
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def awaitable(self, method: Callable[P, R]) -> Callable[P, Awaitable[R]]:
        """The method as a coroutine function. Cancelling it stops the waiting, not the work."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            context = contextvars.copy_context()
            work = partial(context.run, method, *args, **kwargs)
            return await asyncio.get_running_loop().run_in_executor(self._executor(), work)

        call.__name__ = method.__name__
        call.__doc__ = method.__doc__
        return call

    def _executor(self) -> ThreadPoolExecutor:
        pool = self._pool
        if pool is None or pool[0] != os.getpid():  # a forked child has none of its parent's threads
            with self._lock:
                pool = self._pool
                if pool is None or pool[0] != os.getpid():
                    pool = os.getpid(), ThreadPoolExecutor(self._max_workers, "keyledger-aio")
                    self._pool = pool
        return pool[1]
