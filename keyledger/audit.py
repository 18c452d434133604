"""The audit history: who did what with which key, and when."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

import msgspec

from keyledger import cursor as cursors
from keyledger.domain import arguments
from keyledger.domain.actor import Actor
from keyledger.domain.errors import InvalidArgument
from keyledger.domain.ids import key_id_text, parse_key_id
from keyledger.infrastructure.history_view import TOPICS, HistoryFilter, HistoryView, Place, Span
from keyledger.projections.history_entry import HistoryEntry, RecordedEvent, entries, moments

_LARGEST_PAGE = 1_000
_EXPORTED_AT_ONCE = 1_000
_CREDENTIAL = "the id of a credential's key, 'ak_' and 32 hexadecimal digits, never its secret"
_OLDEST, _NEWEST = Place(position=0), Place(position=2**63 - 1)


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the history.

    `next_cursor` is where it goes on, None at the end. `end_cursor`, of an ascending page, is its end even there:
    with it whoever follows the history asks again later for what has come since.
    """

    entries: tuple[HistoryEntry, ...]
    next_cursor: str | None
    end_cursor: str | None


class Audit:
    """Reads the history. Every method raises LedgerUnavailable when PostgreSQL is away.

    The filters of both methods; what is given must all be so:
    api_key_id: of this key; one that is unknown has no history.
    subject: of keys that were this subject's after the event.
    actor: by an Actor, in every field that is set; a text is a user's id. A use has no actor.
    event_types: some of those that an entry's `event_type` names, such as KeyUsed.
    since, until: aware datetimes, by the service's clock; from the first on, and before the second.
    credential_id: with this service credential, by its key's id (`Actor.credential_id`): what was created and
    changed with it, and the revocation of a key by whoever held its secret, which is that key's. The calls that
    were made with it are uses of its key, which `api_key_id` finds.
    With `fresh` everything is in it that was committed before the call, and the uses that this ledger had
    recorded; without, what the background worker has come to, which is milliseconds behind.
    """

    def __init__(self, view: HistoryView, refresh: Callable[[], None]) -> None:
        """`refresh` brings the history up to date."""
        self._view = view
        self._refresh = refresh

    def history(
        self,
        *,
        api_key_id: str | None = None,
        subject: str | None = None,
        actor: Actor | str | None = None,
        event_types: Iterable[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        descending: bool = True,
        page_size: int = 100,
        cursor: str | None = None,
        fresh: bool = False,
        credential_id: str | None = None,
    ) -> HistoryPage:
        """A page of at most `page_size` (1 to 1,000) entries in the order of position and index, or against it.

        `cursor` is a page's `next_cursor` for the page after it, with the same filters and the same order. However
        much is recorded meanwhile, pages neither skip nor repeat; descending ones stay before where they began.
        Raises InvalidArgument (MalformedKeyId).
        """
        wanted = _filter(api_key_id, subject, actor, credential_id, event_types, since, until)
        size = arguments.integer("page_size", page_size, minimum=1, maximum=_LARGEST_PAGE)
        place = _NEWEST if arguments.boolean("descending", descending) else _OLDEST
        if cursor is not None:
            place = cursors.decode(cursor, wanted, descending=descending)
        if arguments.boolean("fresh", fresh):
            self._refresh()
        walk = self._walk(wanted, self._view.span(wanted), place, descending=descending, at_once=size + 1)
        found = list(islice(walk, size + 1))
        page = found[:size]
        end = cursors.encode(page[-1][0] if page else place, wanted, descending=descending)
        return HistoryPage(
            entries=tuple(entry for _, entry in page),
            next_cursor=end if len(found) > size else None,
            end_cursor=None if descending else end,
        )

    def export(
        self,
        *,
        api_key_id: str | None = None,
        subject: str | None = None,
        actor: Actor | str | None = None,
        event_types: Iterable[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        fresh: bool = False,
        credential_id: str | None = None,
    ) -> Iterator[HistoryEntry]:
        """Every entry that the history has at the time of the call, in the order of position and index.

        It takes the same memory for any number of them. Raises InvalidArgument (MalformedKeyId).
        """
        wanted = _filter(api_key_id, subject, actor, credential_id, event_types, since, until)
        if arguments.boolean("fresh", fresh):
            self._refresh()
        span = self._view.span(wanted)
        walk = self._walk(wanted, span, _OLDEST, descending=False, at_once=_EXPORTED_AT_ONCE)
        return (entry for _, entry in walk)

    def position(self) -> int:
        """The position of the last event that the history has, for the command line."""
        return self._view.span(HistoryFilter()).head

    def _walk(
        self, wanted: HistoryFilter, span: Span, place: Place, *, descending: bool, at_once: int
    ) -> Iterator[tuple[Place, HistoryEntry]]:
        """The entries from a place on, each with the place behind it; some events are read at a time."""
        is_all = False
        while not is_all:
            events, is_all = self._view.read(wanted, span, place, descending=descending, entries=at_once)
            for recorded in events:
                taken = place.taken if recorded.position == place.position else 0
                indexes = _indexes(recorded, descending=descending)
                place = Place(position=recorded.position + (-1 if descending else 1))
                for taken_after, entry in _taken(recorded, indexes, taken, wanted, at_once):
                    yield Place(position=recorded.position, taken=taken_after), entry


def _indexes(recorded: RecordedEvent, *, descending: bool) -> range:
    indexes = range(len(moments(recorded.event)))
    return indexes[::-1] if descending else indexes


def _taken(
    recorded: RecordedEvent, indexes: range, taken: int, wanted: HistoryFilter, at_once: int
) -> Iterator[tuple[int, HistoryEntry]]:
    """The entries that are wanted of an event's that are not taken yet, each with how many are taken then."""
    occurred = moments(recorded.event)
    for start in range(taken, len(indexes), at_once):
        some = indexes[start : start + at_once]
        chosen = [(start + place, index) for place, index in enumerate(some, 1) if wanted.takes(occurred[index])]
        found = entries(recorded, [index for _, index in chosen])
        yield from ((count, entry) for (count, _), entry in zip(chosen, found, strict=True))


def _filter(
    api_key_id: str | None,
    subject: str | None,
    actor: Actor | str | None,
    credential_id: str | None,
    event_types: Iterable[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> HistoryFilter:
    begin, end = _moment("since", since), _moment("until", until)
    if begin is not None and end is not None and end < begin:
        raise InvalidArgument("until", "a moment that is not before `since`")
    return HistoryFilter(
        topics=_topics(event_types),
        originator_id=None if api_key_id is None else parse_key_id(api_key_id),
        subject=arguments.optional_text("subject", subject),
        since=begin,
        until=end,
        **_acted(actor, credential_id),
    )


def _acted(actor: object, credential_id: object) -> dict[str, str]:
    """The filters of who acted, and with which credential."""
    given = _actor(actor)
    if credential_id is None:
        return given
    credential = key_id_text(parse_key_id(credential_id, param="credential_id", allowed=_CREDENTIAL))
    if given.get("credential_id", credential) != credential:
        raise InvalidArgument("credential_id", "the actor's, where that has one too, or None")
    return {**given, "credential_id": credential}


def _actor(actor: object) -> dict[str, str]:
    if isinstance(actor, str):
        return {"user_id": arguments.text("actor", actor, trimmed=False)}
    given: dict[str, str] = {}
    if isinstance(actor, Actor):
        given = {field: value for field, value in msgspec.structs.asdict(actor).items() if value is not None}
    if actor is not None and not given:
        raise InvalidArgument("actor", "an Actor with a field that is set, a user's id, or None")
    return given


def _topics(event_types: object) -> tuple[str, ...] | None:
    allowed = f"a list of {', '.join(TOPICS)}"
    if event_types is None:
        return None
    if isinstance(event_types, (str, bytes)) or not isinstance(event_types, Iterable):
        raise InvalidArgument("event_types", f"{allowed}, not one {type(event_types).__name__}")
    given = list(islice(event_types, _LARGEST_PAGE))
    if any(topic not in TOPICS for topic in given):
        raise InvalidArgument("event_types", allowed)
    return tuple(topic for topic in TOPICS if topic in given)


def _moment(param: str, value: object) -> datetime | None:
    if value is None:
        return None
    allowed = "a datetime with a time zone, or None"
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgument(param, allowed)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidArgument(param, f"{allowed}, that is in the years 1 to 9999 in UTC") from None
