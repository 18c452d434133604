"""Entries of the audit history as people see them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from keyledger import HistoryEntry
from keyledger.cli.output import moment, plain, width

_WIDE = 160
"""Columns from which on an entry is one line."""

_TIME, _EVENT, _ID = 24, 10, 35


def entry_table(entries: Iterable[HistoryEntry]) -> Table:
    """One row an entry. Where it is narrow, key, subject and actor stand below what happened."""
    wide = width() >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("time", width=_TIME)
    table.add_column("event", width=_EVENT)
    if wide:
        table.add_column("key", width=_ID)
        table.add_column("subject", overflow="fold")
        table.add_column("actor", overflow="fold")
    table.add_column("what", overflow="fold")
    for entry in entries:
        key, subject, what = plain(entry.api_key_id), plain(entry.subject), plain(what_text(entry))
        actor = plain(actor_text(entry))
        if wide:
            table.add_row(_time(entry.occurred_at), plain(entry.event_type), key, subject, actor, what)
        else:
            by = Text.assemble(" by ", actor) if entry.actor else Text()
            about = Text.assemble(what, "\n", key, " of ", subject, by, overflow="fold")
            table.add_row(_time(entry.occurred_at), plain(entry.event_type), about)
    return table


def actor_text(entry: HistoryEntry) -> str | None:
    """Who acted: the fields of the actor that are set."""
    actor = entry.actor
    if actor is None:
        return None
    of, by = actor.organization_id and f"of {actor.organization_id}", actor.credential_id
    who = [text for text in (actor.user_id, of) if text]
    if by:
        who.append(f"{'with ' if who else ''}credential {by}")
    where = [f"from {actor.ip_address}"] if actor.ip_address else []
    return " ".join(who + where + ([f"request {actor.request_id}"] if actor.request_id else [])) or None


def what_text(entry: HistoryEntry) -> str:
    """What happened, in one line."""
    details = entry.details
    match entry.event_type:
        case "KeyCreated":
            scopes = ", ".join(details["scopes"]) or "—"
            return f"{details['name']!r}, scopes {scopes}, expires {moment(details['expiration'])}"
        case "KeyUpdated":
            return "; ".join(_change(field, value) for field, value in details["changes"].items())
        case "KeyRevoked":
            return f"reason: {details['revocation_reason'] or '—'}"
        case "KeyDeleted":
            return "for ever"
        case "KeyUsed":
            return _use(details)
        case "UsesLost":
            return f"{details['count']:,} uses are lost, cause: {details['cause']}"
    return ", ".join(f"{field} {_value(value)}" for field, value in details.items())


def _use(details: dict[str, Any]) -> str:
    if "refused_unlisted" in details:
        return f"and {details['refused_unlisted']:,} refused attempts more"
    outcome = details["outcome"] + (
        ", recorded after the revocation" if "recorded_after_revocation" in details else ""
    )
    request = " ".join(filter(None, (details["method"], details["path"])))
    source = [f"from {details['ip_address']}"] if details["ip_address"] else []
    named = [f"request {details['request_id']}"] if details["request_id"] else []
    return ", ".join(filter(None, (outcome, request, *source, details["user_agent"], *named)))


def _change(field: str, value: Any) -> str:
    if field == "scopes":
        return f"scopes {', '.join(value) or '—'}"
    return f"expires {moment(value)}" if field == "expiration" else f"{field} {_value(value)}"


def _value(value: object) -> str:
    return moment(value) if isinstance(value, datetime) else "—" if value is None else repr(value)


def _time(value: datetime) -> str:
    """A datetime in UTC, to the millisecond: much may happen within a second."""
    return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}Z"
