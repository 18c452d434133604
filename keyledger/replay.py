"""The ledger as it was: any key, all keys, and what changed, at any moment and from the events alone."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from keyledger.api_key import APIKey, api_key
from keyledger.domain import arguments
from keyledger.domain.errors import InvalidArgument
from keyledger.domain.ids import parse_key_id
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database, one_call
from keyledger.infrastructure.key_view import KeyView
from keyledger.infrastructure.rebuilding import rebuild, verification
from keyledger.infrastructure.rebuilding.rebuild_report import Progress, RebuildReport
from keyledger.infrastructure.rebuilding.verification import VerificationReport
from keyledger.infrastructure.replay.moments import Moments
from keyledger.infrastructure.replay.past import Past
from keyledger.infrastructure.replay.past_changes import PastChange, PastChanges
from keyledger.infrastructure.replay.past_keys import PastKeys
from keyledger.key_change import KeyChange
from keyledger.projections.moment import Moment, PastKey, is_expired
from keyledger.read_models import named


class Replay:
    """Reads the past. Every method raises LedgerUnavailable when PostgreSQL is away.

    A moment is a position (int: after the event at that position; 0 is before all events) or a time (an aware
    datetime, not in the future). At a time hold the events that occurred up to it by the service's clock; by the
    database's, where the two differ by more than ten seconds. At a position hold all the events up to it, and what
    had expired is judged by when the event at that position was recorded. A position's state is final; that of a
    time which has just passed may still gain what is being written.
    """

    def __init__(
        self,
        database: Database,
        codec: EventCodec,
        get: Callable[[str], APIKey],
        *,
        flush: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        """`get` is how a key of the past is reloaded, `flush` stores the uses that wait in this process."""
        self._database = database
        self._codec = codec
        self._get = get
        self._past = Past(database, codec)
        self._keys = PastKeys(database)
        self._moments = Moments(database, self._past, flush=flush, clock=clock)

    def position(self) -> int:
        """The last position, once everything that is committed, or waits in this process, has one."""
        with one_call():
            return self._moments.head()

    def key_as_of(self, api_key_id: str, at: datetime | int) -> APIKey | None:
        """The key exactly as it was; None where it did not exist then, was deleted, or never did.

        `expired` is judged at the moment, and `last_used_at` is the latest accepted use up to it. It costs a few
        reads, however often the key was used. Raises InvalidArgument.
        """
        past, moment = self._past_key(api_key_id, at)
        return None if past is None else self._if_there(past, moment)

    def life(self, api_key_id: str, at: datetime | int) -> tuple[datetime, datetime | None] | None:
        """When the key was created, and when deleted, as known at the moment, for the command line.

        None where it had not been created. Raises InvalidArgument.
        """
        past, _ = self._past_key(api_key_id, at)
        return None if past is None else (past.key.created_at, past.key.deleted_at)

    def keys_as_of(
        self, at: datetime | int, *, subject: str | None = None, include_invalid: bool = False
    ) -> Iterator[APIKey]:
        """All keys as they were, or those that were a subject's then, oldest first, a batch in memory at a time.

        Oldest first by their ids with a `subject`, else by the recording of their creations. Keys that were
        revoked or expired then are left out unless `include_invalid`. What is committed after the call makes no
        difference. Raises InvalidArgument.
        """
        subject = arguments.optional_text("subject", subject)
        arguments.boolean("include_invalid", include_invalid)
        with one_call():
            moment = self._moments.fixed(self._moment("at", at))
        batches = self._keys.created(moment) if subject is None else self._keys.owned(subject)
        return (
            self._as_it_was(past, moment)
            for ids in batches
            for past in self._in_order(ids, moment)
            if subject in (None, past.key.subject) and (include_invalid or _is_valid(past, moment))
        )

    def diff(
        self, start: datetime | int, end: datetime | int, *, subject: str | None = None
    ) -> Iterator[KeyChange]:
        """What became of the keys from one moment to another: of all, or of those of a subject at either.

        Two positions or two times. The net difference: a key that was gained and lost in between, or changed and
        changed back, is not in it; one that was both widened and narrowed is in it twice. First come the keys with
        events in between, in the order of the last of these, then those that only expired, by when. It costs as
        much as there are lifecycle events and expirations in between; uses cost nothing. What is committed after
        the call makes no difference. Raises InvalidArgument.
        """
        subject = arguments.optional_text("subject", subject)
        with one_call():
            first, last = self._moment("start", start), self._moment("end", end)
            if (first.time is None) != (last.time is None):
                raise InvalidArgument("end", "of the same kind as the start: two positions or two times")
            if _is_after(first, last):
                raise InvalidArgument("start", "a moment that is not after the end")
            last = self._moments.fixed(last)
            if first.position is None:
                first = msgspec.structs.replace(first, position=last.position)
        changes = PastChanges(self._past, self._keys, start=first, end=last, subject=subject)
        return (self._changed(change, first, last) for change in changes)

    def rebuild(self, projection: str | None = None, *, progress: Progress | None = None) -> RebuildReport:
        """Make a read model anew from all events, or all of them, while readers, writers and the worker go on.

        The new rows are compared with the old ones, and take their places at one moment.
        projection: "control", "usage", …; None for all. progress: called with a RebuildProgress after each batch.
        Needs the role that migrates. Raises RebuildRefused, InvalidArgument, LedgerUnavailable.
        """
        return rebuild.rebuild(self._database, self._codec, named(projection), progress)

    def verify_projections(self, *, progress: Progress | None = None) -> VerificationReport:
        """Derive every read model anew from the events and compare it row by row, while everything goes on.

        It needs a session of its own, with temporary tables; behind a pooler, give it PostgreSQL's own address.
        progress: called with a RebuildProgress after each batch. Raises UnreadableEvent, LedgerUnavailable.
        """
        return verification.verify(self._database, self._codec, named(None), progress)

    def _past_key(self, api_key_id: str, at: datetime | int) -> tuple[PastKey | None, Moment]:
        key_id = parse_key_id(api_key_id)
        with one_call():
            moment = self._moment("at", at)
            return self._past.keys([key_id], moment).get(key_id), moment

    def _moment(self, param: str, at: object) -> Moment:
        if isinstance(at, datetime) and at.utcoffset() is not None:
            return self._moments.of_time(param, at)
        if isinstance(at, int) and not isinstance(at, bool) and at >= 0:
            return self._moments.of_position(param, at)
        raise InvalidArgument(param, "a datetime with a time zone, or a position: a whole number of at least 0")

    def _in_order(self, ids: Sequence[UUID], moment: Moment) -> Iterator[PastKey]:
        found = self._past.keys(ids, moment)
        return (found[key_id] for key_id in ids if key_id in found and found[key_id].key.deleted_at is None)

    def _if_there(self, past: PastKey, moment: Moment) -> APIKey | None:
        return None if past.key.deleted_at is not None else self._as_it_was(past, moment)

    def _as_it_was(self, past: PastKey, moment: Moment) -> APIKey:
        fields = (field for field in KeyView.__struct_fields__ if field not in ("expired", "last_used_at"))
        view = KeyView(
            **{field: getattr(past.key, field) for field in fields},
            expired=is_expired(past.key, moment.judged_at),
            last_used_at=past.last_used_at,
        )
        return api_key(view, self._get)

    def _changed(self, change: PastChange, start: Moment, end: Moment) -> KeyChange:
        before = None if change.before is None else self._if_there(change.before, start)
        after = None if change.after is None else self._if_there(change.after, end)
        named = before if change.difference.kind == "lost" else after
        assert named is not None
        past = change.difference.event
        event = None if past is None else past.event
        occurred_at = change.difference.moment if event is None else event.occurred_at
        return KeyChange(
            kind=change.difference.kind,
            api_key_id=named.id,
            subject=named.subject,
            before=before,
            after=after,
            event_id=None if event is None else str(event.id),
            event_type=None if event is None else event.topic,
            position=change.position,
            occurred_at=occurred_at.astimezone(UTC),
            actor=None if event is None else event.actor,
        )


def _is_valid(past: PastKey, moment: Moment) -> bool:
    return past.key.revoked_at is None and not is_expired(past.key, moment.judged_at)


def _is_after(one: Moment, other: Moment) -> bool:
    """Of two positions, or two times."""
    if one.time is not None and other.time is not None:
        return one.time > other.time
    return (one.position or 0) > (other.position or 0)
