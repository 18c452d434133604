"""A demo's steps: told to people as they happen, and kept for programs."""

from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from keyledger.cli.failures import Refused
from keyledger.cli.key_tables import facts
from keyledger.cli.output import moment, plain, show
from keyledger.domain.events import Event, KeyCreated, KeyRevoked, KeyUsed
from keyledger.domain.use import RecordedUse
from keyledger.infrastructure.inspection import EventRow

_SHOWN = 4


class Story:
    """Each step says what really happened, in words and as facts; a surprise ends it."""

    def __init__(self, *, silent: bool) -> None:
        self.steps: list[dict[str, Any]] = []
        self._silent = silent

    def tell(self, step: str, sentence: str, *details: RenderableType, **happened: Any) -> None:
        """One step: its name, a sentence on it, what there is to see, and the facts for programs."""
        self.steps.append({"step": step, **happened})
        if self._silent:
            return
        heading = Text.assemble((f"{len(self.steps)}. ", "bold cyan"), plain(sentence, "bold"))
        show(heading, *(Padding(detail, (0, 0, 0, 3), expand=False) for detail in details), "")


def expect(met: bool, what: str) -> None:
    """Go on only if it is met. Raises Refused."""
    if not met:
        raise Refused(f"the demo met a surprise: expected {what}")


def masked(secret: str) -> str:
    """As much of a secret as may be shown: the end of its checksum."""
    return f"ak_…{secret[-_SHOWN:]} ({len(secret)} characters)"


def event_table(rows: tuple[EventRow, ...]) -> Table:
    """The rows of the events table, each with what its state says."""
    table = facts()
    for row in rows:
        table.add_row(
            f"{row.version} {row.topic}",
            plain(f"{len(row.state)} bytes, recorded at {row.recorded_at:%H:%M:%S.%f} by PostgreSQL's clock"),
        )
        for line in _says(row.event):
            table.add_row("", plain(line))
    return table


def event_facts(row: EventRow) -> dict[str, Any]:
    """The same for programs."""
    return {
        "version": row.version,
        "topic": row.topic,
        "recorded_at": row.recorded_at,
        "bytes": len(row.state),
        "says": _says(row.event),
    }


def _says(event: Event) -> list[str]:
    by = "" if event.actor is None else f", by {event.actor.user_id} of {event.actor.organization_id}"
    match event:
        case KeyCreated():
            digest = event.digest
            return [
                f"{event.name!r} for {event.subject}{by}",
                f"scopes {', '.join(event.scopes) or '—'}, expires {moment(event.expiration)}",
                f"secret's digest: {digest.algorithm}, pepper {digest.kid}, {digest.value.hex()[:16]}…",
            ]
        case KeyRevoked():
            return [f"reason: {event.revocation_reason}{by}"]
        case KeyUsed():
            more = [f"and {event.refused_unlisted} refused attempts more"] if event.refused_unlisted else []
            return [*map(_use, event.uses), *more]
    return [f"{event.topic}{by}"]


def _use(recorded: RecordedUse) -> str:
    use = recorded.use
    request = " ".join(part for part in (use.method, use.path) if part) or "no request named"
    source = f" from {use.ip_address}, {use.user_agent}" if use.ip_address else ""
    return f"{recorded.occurred_at:%H:%M:%S.%f}  {recorded.outcome:<18}  {request}{source}"
