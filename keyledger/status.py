"""How a ledger is doing."""

from pathlib import Path
from typing import Literal

import msgspec

from keyledger.infrastructure import peppers
from keyledger.infrastructure.following.progress_status import ProjectionStatus, SequencerStatus
from keyledger.infrastructure.inspection import StoreStatus

SLOW_SECONDS = 10.0
"""From so much lag on, something is wrong: a worker needs milliseconds."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What PostgreSQL holds, the uses that wait here, the pepper of new keys, and where embedded data is.

    missing_peppers: the ids of those that live keys were made with and this process was not given.
    sequencer and projections: how far the order of the events and the read models have come.
    `figures` are this process's numbers by name, those that metrics show too.
    """

    store: StoreStatus
    uses_waiting: int
    figures: dict[str, float]
    pepper: str
    missing_peppers: tuple[str, ...]
    data_dir: Path | None
    sequencer: SequencerStatus
    projections: tuple[ProjectionStatus, ...]

    @property
    def health(self) -> Literal["ok", "degraded"]:
        """Whether all of the ledger keeps up and every key can be verified here.

        Verifying other keys, creating and revoking work either way.
        """
        return "degraded" if self.problems else "ok"

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each."""
        lacks = (peppers.told(self.missing_peppers),) if self.missing_peppers else ()
        return (*lacks, *filter(None, map(_problem, self.projections)))


def _problem(projection: ProjectionStatus) -> str | None:
    if projection.stopped:
        return (
            f"the read model {projection.name!r} has stopped before position {projection.failed_position}:"
            f" {projection.failure}"
        )
    if projection.lag_seconds > SLOW_SECONDS:
        return (
            f"the read model {projection.name!r} lacks {projection.lag_events:,} events, the first of them for"
            f" {projection.lag_seconds:,.0f} s: is a process with a background worker running?"
        )
    return None
