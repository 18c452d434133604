"""Where a read model stands: the row that says how far it has come, and the tables that are its own."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.following.read_model import ReadModel, Tables


class Place(NamedTuple):
    """`find`, `lock`, `move` and `stop` name the statements on the row, which `key` tells from the others."""

    find: str
    lock: str
    move: str
    stop: str
    key: dict[str, Any]
    tables: Callable[[DeadlineConnection], Tables]


def live(model: ReadModel) -> Place:
    """The tables that are read, and their row of `projections`."""
    key = {"name": model.name, "version": model.version}
    return Place("find_projection", "lock_projection", "move_projection", "stop_projection", key, Tables)
