"""The tables."""

import os
import platform
import statistics
from collections.abc import Mapping
from types import MappingProxyType

import psycopg
from rich.console import Console
from rich.table import Table

from keyledger.compiled import is_compiled
from scripts.benchmarks.measure import Figures
from scripts.benchmarks.peak import Peak

_console = Console(width=120)


def environment(dsn: str) -> None:
    """Say what the figures were measured on."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('synchronous_commit')"
        ).fetchone()
    assert row is not None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    _console.print(
        f"PostgreSQL {row[0]} (fsync {row[1]}, synchronous_commit {row[2]}), Python {platform.python_version()},"
        f" psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), {cores} cores,"
        f" keyledger {'compiled' if is_compiled() else 'not compiled'}\n"
        "Each ratio is taken in this one run, turn by turn: trust it more than the figures beside it."
    )


def latency(
    title: str,
    figures: Mapping[str, Figures],
    *,
    most: Mapping[str, float],
    least: Mapping[str, float] = MappingProxyType({}),
    within: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """A table of times a call; the first row is what the others are compared with.

    A row's goals: `most` and `least` are times the first row's median, `within` is microseconds.
    """
    table = _table(title, "calls", "median us", "p10", "p90", "times 1st", "goal")
    base = next(iter(figures.values())).median
    for name, found in figures.items():
        ratio = found.median / base
        goals = [f"at most {most[name]:g}: {_verdict(ratio <= most[name])}"] if name in most else []
        if name in least:
            goals.append(f"at least {least[name]:g}: {_verdict(ratio >= least[name])}")
        if name in within:
            goals.append(f"at most {within[name] / 1_000:g} ms: {_verdict(found.median <= within[name])}")
        table.add_row(
            name,
            str(found.count),
            _microseconds(found.median),
            _microseconds(found.p10),
            _microseconds(found.p90),
            f"{ratio:.2f}",
            "\n".join(goals),
        )
    _console.print(table)


def throughput(
    title: str,
    rates: Mapping[str, list[float]],
    *,
    least: Mapping[str, float],
    above: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """A table of calls a second; ratios are medians of the ratios of each round.

    A row's goals: `least` is how much of the first row's throughput it must have, `above` calls a second.
    """
    table = _table(title, "rounds", "median/s", "p10", "p90", "of 1st", "goal")
    base = next(iter(rates.values()))
    for name, values in rates.items():
        found = Figures.of(values)
        ratio = statistics.median(value / other for value, other in zip(values, base, strict=True))
        goals = [f"at least {least[name]:g}: {_verdict(ratio >= least[name])}"] if name in least else []
        if name in above:
            goals.append(f"at least {above[name]:,.0f}/s: {_verdict(found.median >= above[name])}")
        table.add_row(
            name,
            str(found.count),
            f"{found.median:,.0f}",
            f"{found.p10:,.0f}",
            f"{found.p90:,.0f}",
            f"{ratio:.2f}",
            "\n".join(goals),
        )
    _console.print(table)


def rates(title: str, found: Mapping[str, Figures], least: float) -> None:
    """A table of events a second; the medians are to be `least` at the least."""
    table = _table(title, "rounds", "median/s", "p10", "p90", "goal")
    for name, one in found.items():
        goal = f"at least {least:,.0f}: {_verdict(one.median >= least)}"
        table.add_row(name, str(one.count), f"{one.median:,.0f}", f"{one.p10:,.0f}", f"{one.p90:,.0f}", goal)
    _console.print(table)


def peaks(title: str, found: Mapping[str, Peak], *, most: float) -> None:
    """A table of the memory that processes took; all others may take `most` times what the first one did."""
    table = _table(title, "seconds", "peak MB", "times 1st", "goal")
    base = next(iter(found.values())).megabytes
    for place, (name, one) in enumerate(found.items()):
        ratio = one.megabytes / base
        goal = f"at most {most:g}: {_verdict(ratio <= most)}" if place else ""
        table.add_row(name, f"{one.seconds:.1f}", f"{one.megabytes:.1f}", f"{ratio:.2f}", goal)
    _console.print(table)


def note(text: str) -> None:
    """A figure that stands in no table, or what stands below one."""
    _console.print(text)


def _microseconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold")
    table.add_column("", min_width=20)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"
