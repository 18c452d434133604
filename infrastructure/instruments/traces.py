"""Traces, through OpenTelemetry's API where that is installed; nothing, and at no cost, where it is not."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

try:
    from opentelemetry import trace
except ImportError:
    _tracer: Any = None
else:
    _tracer = trace.get_tracer("keyledger")

P = ParamSpec("P")
R = TypeVar("R")

Attributes = Mapping[str, str | int | float | bool]
"""What a span says. Never a secret, nor a key's id: traces go where the ledger does not."""

_NOTHING: AbstractContextManager[Any] = nullcontext()


def span(name: str, attributes: Attributes | None = None) -> AbstractContextManager[Any]:
    """A span around what happens within, as a context manager."""
    return _NOTHING if _tracer is None else _tracer.start_as_current_span(name, attributes=attributes)


def traced(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Puts a span around each call of a function."""

    def around(method: Callable[P, R]) -> Callable[P, R]:
        if _tracer is None:
            return method

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with span(name):
                return method(*args, **kwargs)

        return call

    return around
