"""How much to measure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Calls at one caller, rounds and calls of each of many callers, and keys to load of each kind.

    `listed_keys` are the keys of one subject that are listed; `list_calls`, how often each page of them.
    `followed_events` are given positions and applied, of which `library_events` at a time beside eventsourcing.
    `history_events` are those whose history is read, or are rebuilt or replayed; `visible_commits`, how many are
    waited for there. `replayed_uses` are those of the one key that is replayed; `load_seconds`, how long
    a round of requests takes; `revocations`, how many keys are revoked in either way.
    """

    writes: int
    rounds: int
    writes_per_round: int
    reads: int
    reads_per_round: int
    uses: int
    loaded_keys: int
    listed_keys: int = 1_000_000
    list_calls: int = 300
    followed_events: int = 200_000
    library_events: int = 2_000
    history_events: int = 1_000_000
    visible_commits: int = 300
    cached_keys: int = 1_000_000
    replayed_uses: int = 1_000_000
    load_seconds: int = 3
    revocations: int = 60


FULL = Scale(
    writes=1_000, rounds=9, writes_per_round=100, reads=5_000, reads_per_round=200, uses=100_000, loaded_keys=16
)
QUICK = Scale(
    writes=200,
    rounds=3,
    writes_per_round=40,
    reads=1_000,
    reads_per_round=100,
    uses=100_000,
    loaded_keys=6,
    listed_keys=100_000,
    list_calls=100,
    followed_events=60_000,
    library_events=500,
    history_events=100_000,
    visible_commits=100,
    cached_keys=100_000,
    replayed_uses=100_000,
    load_seconds=2,
    revocations=15,
)
