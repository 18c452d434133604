"""What changed between two moments, key by key: those with events in between, then those that only expired."""

from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec

from keyledger.infrastructure.replay.past import Past
from keyledger.infrastructure.replay.past_keys import PastKeys
from keyledger.projections.difference import Difference, differences
from keyledger.projections.moment import Moment, PastEvent, PastKey


class PastChange(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of a key, with the key at both moments, and the position of the event that did it."""

    before: PastKey | None
    after: PastKey | None
    difference: Difference
    position: int | None


class PastChanges:
    """The differences from one moment to another, both with a position, of keys of a subject or of all."""

    def __init__(
        self, past: Past, keys: PastKeys, *, start: Moment, end: Moment, subject: str | None = None
    ) -> None:
        self._past = past
        self._keys = keys
        self._start = start
        # The database's clock may have been set back between two positions; keys do not come back to life by that.
        judged_at = max(start.judged_at, end.judged_at)
        self._end = msgspec.structs.replace(end, judged_at=judged_at)
        self._subject = subject

    def __iter__(self) -> Iterator[PastChange]:
        for ids in self._keys.changed(self._start, self._end, self._subject):
            yield from self._by_events(ids)
        for expiring in self._keys.expiring(self._start, self._end, self._subject):
            befores, afters = self._states([key_id for key_id, _ in expiring])
            for key_id, expiration in expiring:
                before, after = befores.get(key_id), afters.get(key_id)
                # Such a key has no event in between, and of several times the one that it had in the end.
                if after and _version(before) == _version(after) and after.key.expiration == expiration:
                    yield from self._of_key(before, after, ())

    def _by_events(self, ids: Sequence[UUID]) -> Iterator[PastChange]:
        befores, afters = self._states(ids)
        spans = [
            (key_id, _version(befores.get(key_id)), _version(afters.get(key_id)))
            for key_id in ids
            if _version(befores.get(key_id)) < _version(afters.get(key_id))
        ]
        found = {
            key_id: list(self._of_key(befores.get(key_id), afters.get(key_id), events))
            for key_id, events in self._past.lifecycles(spans)
        }
        positions = self._past.positions(
            [
                change.difference.event
                for changes in found.values()
                for change in changes
                if change.difference.event
            ]
        )
        for key_id in ids:
            for change in found.get(key_id, ()):
                event = change.difference.event
                place = event and positions[event.originator_id, event.originator_version]
                yield msgspec.structs.replace(change, position=place)

    def _of_key(
        self, before: PastKey | None, after: PastKey | None, between: Iterator[PastEvent] | tuple[()]
    ) -> Iterator[PastChange]:
        found = differences(before, after, between, start=self._start, end=self._end, subject=self._subject)
        for difference in found:
            yield PastChange(before=before, after=after, difference=difference, position=None)

    def _states(self, ids: Sequence[UUID]) -> tuple[dict[UUID, PastKey], dict[UUID, PastKey]]:
        return self._past.keys(ids, self._start), self._past.keys(ids, self._end)


def _version(past: PastKey | None) -> int:
    return 0 if past is None else past.key.version
