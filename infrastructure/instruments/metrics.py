"""Metrics, through OpenTelemetry's API where that is installed; nothing, and at no cost, where it is not.

The instruments are asked when somebody exports, and then read the figures of every open ledger of the process:
nothing is counted twice, and nothing on the way of a verification. No attribute is set: there is no place where a
secret or a key's id could be.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from keyledger.infrastructure.instruments.figure import Figure

try:
    from opentelemetry import metrics
except ImportError:
    _api: Any = None
else:
    _api = metrics

PREFIX = "keyledger."

_lock = threading.Lock()
_open: dict[int, Sequence[Figure]] = {}
_past: defaultdict[str, float] = defaultdict(float)
_instruments: dict[str, Any] = {}


def add(ledger: object, figures: Sequence[Figure]) -> None:
    """Show a ledger's figures from now on."""
    if _api is None:
        return
    with _lock:
        _open[id(ledger)] = figures
        for figure in figures:
            if figure.name not in _instruments:
                _instruments[figure.name] = _instrument(figure)


def discard(ledger: object) -> None:
    """Show them no longer; what its counters counted stays counted."""
    with _lock:
        for figure in _open.pop(id(ledger), ()):
            if figure.kind == "counter":
                _past[figure.name] += figure.read()


def _instrument(figure: Figure) -> Any:
    meter = _api.get_meter("keyledger")
    make = meter.create_observable_counter if figure.kind == "counter" else meter.create_observable_gauge
    return make(PREFIX + figure.name, [_reader(figure.name)], figure.unit, figure.description)


def _reader(name: str) -> Callable[[Any], Iterable[Any]]:
    """What the figure is in all the ledgers together."""

    def read(_: Any) -> Iterable[Any]:
        with _lock:
            found = [figure for figures in _open.values() for figure in figures if figure.name == name]
            total = _past[name] + sum(figure.read() for figure in found)
        return [_api.Observation(total)]

    return read
