"""What a rebuild says: how far it has come, and what it found."""

from collections.abc import Callable

import msgspec


class RebuildProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the rebuild of a read model has come: its position, and the one that it goes to."""

    projection: str
    position: int
    head: int


Progress = Callable[[RebuildProgress], object]


class RebuiltProjection(msgspec.Struct, frozen=True, kw_only=True):
    """A read model that was rebuilt.

    version: of the read model. events: how many it was made of. seconds: how long that took.
    old_digest, new_digest: SHA-256 of all rows, in hexadecimal, of the live tables and of the new ones, both at
    the position `compared_at`. equal: whether they were; None where another version had made the old rows.
    switched: whether readers have the new rows now.
    failure: of an event that the read model cannot take, and before which the new tables end; else None.
    """

    name: str
    version: int
    events: int
    seconds: float
    compared_at: int
    old_digest: str
    new_digest: str
    equal: bool | None
    switched: bool
    failure: str | None


class RebuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """The read models that were rebuilt, in that order."""

    projections: tuple[RebuiltProjection, ...]
