"""A verification's cost, side by side with others' libraries; see scripts/bench."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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

NOTES = {
    "keyledger": "one SELECT, one HMAC-SHA-256; the use is recorded, in memory, and stored by the next flush",
    "djangorestframework-api-key": "one SELECT, one SHA-512; no use is recorded",
    "better-auth": "one SELECT, one SHA-256, and two UPDATEs, each committed: the key's last use alone is kept",
}


def run(dsn: str, scale: Scale, peers: Peers) -> None:
    """Measure at one caller, the contenders taking turns. Raises PeerUnavailable."""
    with _contenders(dsn, peers) as contenders:
        found: dict[str, list[float]] = {name: [] for name in contenders}
        order = list(contenders.items())
        for turn in range(scale.rounds + 1):
            for name, one in order:
                values = one.turn(scale.reads_per_round * (1 if name in LEAST else SHORTER))
                found[name] += values if turn else []  # the first is a warm-up
            order.reverse()
        figures = {name: Figures.of(values) for name, values in found.items()}
        report.latency(f"verify, 1 caller, {KEYS} keys, beside peers", figures, most={}, least=LEAST)
        for name, one in contenders.items():
            report.note(f"{one.versions}: {NOTES[name]}.")


@contextmanager
def _contenders(dsn: str, peers: Peers) -> Iterator[dict[str, Contender]]:
    """Each in a process of its own, with a database of its own on the one server."""
    program = shutil.copy(SOURCES / "better_auth_peer.mjs", peers.better_auth)  # beside its node_modules
    with ExitStack() as stack:

        def start(name: str, *command: object, migrated: bool = False) -> Contender:
            own = stack.enter_context(new_database(dsn, migrated=migrated))
            return stack.enter_context(contender(name, [*map(str, command)], own, keys=KEYS))

        modules = "scripts.benchmarks.peers."
        yield {
            "keyledger": start("keyledger", sys.executable, "-m", f"{modules}keyledger_peer", migrated=True),
            "djangorestframework-api-key": start(
                "djangorestframework-api-key", peers.django, "-m", f"{modules}django_peer"
            ),
            "better-auth": start("better-auth", peers.node, program),
        }
