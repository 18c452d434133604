"""Changes between two moments as people see them."""

from collections.abc import Iterable, Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from keyledger import APIKey, KeyChange
from keyledger.cli.key_tables import name_and_id
from keyledger.cli.output import moment, plain, width

_WIDE = 120
"""Columns from which on the event has a column of its own."""

_ID = 35
_STYLES = {"gained": "green", "lost": "red", "widened": "yellow", "narrowed": "cyan"}


def change_table(changes: Iterable[KeyChange]) -> Table:
    """One row a change: its kind, the key and whose it is or was, what of it, and the event that did it.

    Where it is narrow, the event stands below what it did.
    """
    wide = width() >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("change", width=8)
    table.add_column("name, id and subject", min_width=_ID, overflow="fold")
    table.add_column("what", overflow="fold")
    if wide:
        table.add_column("by", overflow="fold")
    for change in changes:
        key = change.after or change.before
        assert key is not None
        what, by = plain(", ".join(_what(change)) or None), plain(_by(change))
        table.add_row(
            Text(change.kind, _STYLES[change.kind]),
            name_and_id(key, plain(change.subject)),
            *((what, by) if wide else (Text("\n", overflow="fold").join((what, by)),)),
        )
    return table


def _what(change: KeyChange) -> Iterator[str]:
    before, after = change.before, change.after
    if change.kind == "lost":
        yield from _loss(change, after)
    elif change.kind == "gained" and after is not None:
        if before is None:
            yield "created" if change.event_type == "KeyCreated" else "created in between, then updated"
            yield f"scopes {', '.join(after.scopes) or '—'}"
            yield f"expires {moment(after.expiration)}"
        elif before.subject != after.subject:
            yield f"came from {before.subject}"
        else:
            yield f"valid again, expires {moment(after.expiration)}"
    elif before is not None and after is not None:
        yield from _differences(change.kind, before, after)


def _loss(change: KeyChange, after: APIKey | None) -> Iterator[str]:
    if after is None:
        yield "deleted"
    elif after.revoked and change.event_type == "KeyRevoked":
        yield f"revoked: {after.revocation_reason or 'no reason given'}"
    elif change.event_type is None:
        yield f"expired {moment(change.occurred_at)}"
    elif after.subject != change.subject:
        yield f"went to {after.subject}"
    elif after.expired:
        yield f"was given the term {moment(after.expiration)}, and expired"


def _differences(kind: str, before: APIKey, after: APIKey) -> Iterator[str]:
    more, less, sign = (after, before, "+") if kind == "widened" else (before, after, "-")
    yield from (f"{sign}{scope}" for scope in more.scopes if scope not in less.scopes)
    if before.expiration == after.expiration:
        return
    is_longer = after.expiration is None or (
        before.expiration is not None and after.expiration > before.expiration
    )
    if is_longer is (kind == "widened"):
        yield f"expires {moment(after.expiration)}, not {moment(before.expiration)}"


def _by(change: KeyChange) -> str:
    """The event, with its place in the order of all events, when it was, and whose it was."""
    if change.event_type is None:
        return "no event"
    who = change.actor and (change.actor.user_id or change.actor.organization_id or change.actor.credential_id)
    told = f"{change.event_type} @{change.position}, {moment(change.occurred_at)}"
    return f"{told}, {who}" if who else told
