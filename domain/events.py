"""The events: facts about keys, in the past tense, never changed.

An event's topic and version are fixed for ever. A field may be added at the end with a default; any other change
is a new version, and an upcaster reads the old one.
"""

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from keyledger.domain.actor import Actor
from keyledger.domain.digest import Digest
from keyledger.domain.microseconds import microseconds
from keyledger.domain.packing import pack
from keyledger.domain.use import RecordedUse
from keyledger.domain.use_columns import UseColumns


class Event(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What every event says: its own id (UUIDv7), when it occurred by the service's clock, and who acted."""

    topic: ClassVar[str]
    version: ClassVar[int] = 1

    id: UUID
    occurred_at: datetime
    actor: Actor | None


class KeyCreated(Event, frozen=True, kw_only=True, array_like=True):
    """A key was created. `claims` is JSON text; of the secret there is only the digest."""

    topic: ClassVar[str] = "KeyCreated"

    type: str
    name: str
    subject: str
    description: str | None
    claims: str | None
    scopes: tuple[str, ...]
    created_by: str | None
    expiration: datetime | None
    digest: Digest


class Changes(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fields that an update sets; those left out stay as they are."""

    description: str | UnsetType | None = UNSET
    claims: str | UnsetType | None = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    expiration: datetime | UnsetType | None = UNSET


class KeyUpdated(Event, frozen=True, kw_only=True, array_like=True):
    """A key's mutable fields were changed."""

    topic: ClassVar[str] = "KeyUpdated"

    changes: Changes


class KeyRevoked(Event, frozen=True, kw_only=True, array_like=True):
    """A key was revoked, for ever."""

    topic: ClassVar[str] = "KeyRevoked"

    revocation_reason: str | None


class KeyDeleted(Event, frozen=True, kw_only=True, array_like=True):
    """A key was deleted: nobody reads or verifies it from then on, and its history stays."""

    topic: ClassVar[str] = "KeyDeleted"


class KeyUsed(Event, frozen=True, kw_only=True, array_like=True):
    """A key was used, once or many times: its uses of one flush, none left out, or a part of very many.

    `refused_unlisted` counts the refused attempts of the flush beyond those that are listed.
    """

    topic: ClassVar[str] = "KeyUsed"
    version: ClassVar[int] = 2

    texts: tuple[str, ...]
    columns: UseColumns
    refused_unlisted: int = 0

    @classmethod
    def of(cls, uses: Sequence[RecordedUse], *, id: UUID, refused_unlisted: int = 0) -> "KeyUsed":  # noqa: A002
        """The event of these uses, of which there is at least one."""
        start = uses[0].occurred_at
        moments = array("q", [microseconds(use.occurred_at) for use in uses])
        outcomes, requests = [use.outcome for use in uses], [use.use for use in uses]
        texts, columns = pack(moments, outcomes, requests, microseconds(start))
        return cls(
            id=id,
            occurred_at=start,
            actor=None,
            texts=texts,
            columns=columns,
            refused_unlisted=refused_unlisted,
        )

    @property
    def uses(self) -> Iterable[RecordedUse]:
        """Every use, in the order of recording."""
        return self.columns.unpack(self.texts, self.occurred_at)


class UsesLost(Event, frozen=True, kw_only=True, array_like=True):
    """Accepted uses of a key that are in no KeyUsed: how many, and why.

    `cause` is `crash` where a process ended before it stored them, `full` where more came than could be kept.
    """

    topic: ClassVar[str] = "UsesLost"

    count: int
    cause: str


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event in its stream: the key's id and the event's version there, counted from 1."""

    originator_id: UUID
    originator_version: int
    event: Event


EVENTS: tuple[type[Event], ...] = (KeyCreated, KeyUpdated, KeyUsed, KeyRevoked, UsesLost, KeyDeleted)
