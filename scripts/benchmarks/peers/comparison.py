"""A verification's cost, side by side with others' libraries; see scripts/bench."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from scripts.benchmarks import report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.measure import Figures
from scripts.benchmarks.peers.contender import Contender, contender
from scripts.benchmarks.peers.installing import SOURCES, Peers
from scripts.benchmarks.scale import Scale

KEYS = 500
LEAST = {"djangorestframework-api-key": 150, "better-auth": 500}
"""How many times keyledger's cost a peer's is, at least."""

SHORTER = 10
"""How many times the peers' calls keyledger makes in its turn: its calls are that much shorter, or more."""

WARM_UP = 5
"""Turns' worth of calls before the first turn: Node.js has compiled what it will by then."""

NOTES = {
    "keyledger": "from memory, one SHA-256; the use is recorded, in memory, and stored by the next flush",
    "djangorestframework-api-key": "one SELECT on a connection that stays open, one SHA-512; no use is recorded",
    "better-auth": "one SELECT, one SHA-256, two UPDATEs, each committed; of the uses the latest is kept",
}


def run(dsn: str, scale: Scale, peers: Peers) -> None:
    """Measure at one caller, the contenders taking turns. Raises PeerUnavailable."""
    with _contenders(dsn, peers) as contenders:
        found: dict[str, list[float]] = {name: [] for name in contenders}
        order = list(contenders.items())
        for one in contenders.values():
            one.turn(WARM_UP * scale.reads_per_round)
        for _ in range(scale.rounds):
            for name, one in order:
                found[name] += one.turn(scale.reads_per_round * (1 if name in LEAST else SHORTER))
            order.reverse()
        figures = {name: Figures.of(values) for name, values in found.items()}
        report.latency(f"verify, 1 caller, {KEYS} keys, beside peers", figures, most={}, least=LEAST)
        for name, one in contenders.items():
            report.note(f"- {one.versions}: {NOTES[name]}.")


@contextmanager
def _contenders(dsn: str, peers: Peers) -> Iterator[dict[str, Contender]]:
    """Each in a process of its own, with a database of its own on the one server."""
    with ExitStack() as stack:
        found = {}
        for name, command in _commands(peers).items():
            own = stack.enter_context(new_database(dsn, migrated=name not in LEAST))
            found[name] = stack.enter_context(contender(name, command, own, keys=KEYS))
            with psycopg.connect(own, autocommit=True) as connection:  # or the server does it while we measure
                connection.execute("VACUUM ANALYZE")
        yield found


def _commands(peers: Peers) -> dict[str, list[str | Path]]:
    program = shutil.copy(SOURCES / "better_auth_peer.mjs", peers.better_auth)  # beside its node_modules
    return {
        "keyledger": [sys.executable, "-m", "scripts.benchmarks.peers.keyledger_peer"],
        "djangorestframework-api-key": [peers.django, "-m", "scripts.benchmarks.peers.django_peer"],
        "better-auth": [peers.node, program],
    }
