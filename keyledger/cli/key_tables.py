"""Keys as people see them."""

import json
from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from keyledger import APIKey
from keyledger.cli.output import moment, plain, show, show_json, width

_WIDE = 150
"""Columns from which on a list shows everything."""

_LONG_DATES = 100
"""Columns from which on a date and its time stand on one line."""

_ID, _STATE, _DATE, _DATE_AND_TIME = 35, 7, 10, 20
_STYLES = {"active": "green", "expired": "yellow", "revoked": "red"}


def state(key: APIKey) -> Text:
    """Whether the key is active, expired or revoked."""
    name = "revoked" if key.revoked else "expired" if key.expired else "active"
    return Text(name, _STYLES[name])


def key_table(keys: Iterable[APIKey], *, subjects: bool = False) -> Table:
    """One row a key. Where it is narrow, the id stands below the name and there are fewer columns.

    subjects: with whose key it is.
    """
    columns = width()
    wide = columns >= _WIDE
    dates = _DATE_AND_TIME if columns >= _LONG_DATES else _DATE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    # The columns of a fixed width keep it; those of text are folded, and nothing is cut.
    if wide:
        table.add_column("id", width=_ID)
    table.add_column("name" if wide else "name, id and subject" if subjects else "name and id", overflow="fold")
    if wide and subjects:
        table.add_column("subject", overflow="fold")
    table.add_column("state", width=_STATE)
    if wide:
        table.add_column("scopes", overflow="fold")
    for heading in ("created", "expires", "last used") if wide else ("expires", "last used"):
        table.add_column(heading, width=dates)
    for key in keys:
        scopes, created = plain(", ".join(key.scopes) or None), moment(key.created_at)
        subject = [plain(key.subject)] if subjects else []
        about: tuple[Text | str, ...] = (
            (key.id, plain(key.name), *subject, state(key), scopes, created)
            if wide
            else (name_and_id(key, *subject), state(key))
        )
        table.add_row(*about, moment(key.expiration), moment(key.last_used_at))
    return table


def name_and_id(key: APIKey, *more: Text) -> Text:
    """The key's name, and below it its id and what more there is, a line each."""
    lines = (plain(key.name, "bold"), Text(key.id), *more)
    return Text("\n", overflow="fold").join(lines)


def key_details(key: APIKey) -> Table:
    """Every field of a key, one a line."""
    table = facts()
    table.add_row("id", plain(key.id))
    table.add_row("name", plain(key.name))
    table.add_row("state", state(key))
    if key.revoked:
        table.add_row("reason", plain(key.revocation_reason))
    table.add_row("type", plain(key.type))
    table.add_row("subject", plain(key.subject))
    table.add_row("description", plain(key.description))
    table.add_row("scopes", plain(", ".join(key.scopes) or None))
    table.add_row("claims", plain(None if key.claims is None else json.dumps(key.claims, ensure_ascii=False)))
    table.add_row("created", plain(moment(key.created_at)))
    table.add_row("created by", plain(key.created_by))
    table.add_row("updated", plain(moment(key.updated_at)))
    table.add_row("expires", plain(moment(key.expiration)))
    table.add_row("last used", plain(moment(key.last_used_at)))
    return table


def facts() -> Table:
    """An empty table of names and values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def show_key(key: APIKey, *, as_json: bool) -> None:
    """Print a key, for people or for programs."""
    if as_json:
        show_json(key.as_dict())
    else:
        show(key_details(key))
