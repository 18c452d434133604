"""Pages of the audit history: cursors that neither skip nor repeat, whatever is recorded meanwhile."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from string import ascii_letters, digits
from threading import Event
from typing import Any

import pytest

from keyledger import Actor, APIKey, HistoryEntry, HistoryPage, InvalidArgument, KeyLedger, Settings, Use
from keyledger.infrastructure.history_view import TOPICS

Create = Callable[..., APIKey]


@pytest.fixture
def folded(ledger: KeyLedger, create: Create) -> list[APIKey]:
    """Two keys with uses that are folded in fives and ones, and some of the keys' lives between them."""
    keys = [create(name="one"), create(name="two", subject="user_2")]
    for number in range(12):
        ledger.verify(keys[number % 5 == 0].secret, use=Use(path=f"/{number}"))
        if number % 5 == 4:
            ledger.audit.history(fresh=True)
            ledger.api_keys.update(keys[0].id, description=str(number))
    ledger.audit.history(fresh=True)
    return keys


def walked(ledger: KeyLedger, size: int, **filters: Any) -> list[HistoryPage]:
    """The pages to the end."""
    pages = [ledger.audit.history(page_size=size, **filters)]
    while pages[-1].next_cursor is not None:
        pages.append(ledger.audit.history(page_size=size, cursor=pages[-1].next_cursor, **filters))
    return pages


def joined(pages: list[HistoryPage]) -> list[HistoryEntry]:
    return [entry for page in pages for entry in page.entries]


def places(entries: list[HistoryEntry]) -> list[tuple[int, int]]:
    return [(entry.position, entry.index) for entry in entries]


@pytest.mark.parametrize("descending", [True, False])
def test_pages_of_any_size_hold_every_entry_once_and_end_within_folded_events(
    ledger: KeyLedger, folded: list[APIKey], descending: bool
) -> None:
    filters: list[dict[str, Any]] = [{}, {"subject": "user_1"}, {"event_types": ["KeyUsed"]}]
    for given, size in product(filters, [1, 2, 3, 4, 7, 1000]):
        whole = ledger.audit.history(page_size=1000, descending=descending, **given).entries

        pages = walked(ledger, size, descending=descending, **given)

        assert joined(pages) == list(whole)
        assert {len(page.entries) for page in pages[:-1]} <= {size}
        assert pages[-1].entries, "the last page is not an empty one"
        assert places(joined(pages)) == sorted(places(joined(pages)), reverse=descending)


@pytest.mark.parametrize("descending", [True, False])
def test_a_span_of_time_may_begin_and_end_within_a_folded_event(
    ledger: KeyLedger, folded: list[APIKey], descending: bool
) -> None:
    uses = ledger.audit.history(event_types=["KeyUsed"], descending=False).entries
    since, until = uses[2].occurred_at, uses[-2].occurred_at
    within = [entry for entry in uses if since <= entry.occurred_at < until]

    pages = walked(ledger, 2, event_types=["KeyUsed"], since=since, until=until, descending=descending)

    assert joined(pages) == (within[::-1] if descending else within)


def test_an_export_is_all_pages_one_after_the_other(ledger: KeyLedger, folded: list[APIKey]) -> None:
    since = folded[1].created_at
    for filters in (
        {},
        {"api_key_id": folded[0].id},
        {"subject": "user_2"},
        {"since": since},
        {"actor": "nobody"},
    ):
        pages = walked(ledger, 3, descending=False, **filters)
        assert list(ledger.audit.export(**filters)) == joined(pages)


def test_an_export_ends_at_what_there_was_when_it_was_called(
    ledger: KeyLedger, folded: list[APIKey], create: Create
) -> None:
    before = list(ledger.audit.export())

    export = ledger.audit.export()
    create()
    ledger.catch_up()

    assert list(export) == before
    assert len(list(ledger.audit.export())) == len(before) + 1


def test_a_cursor_is_opaque_text_that_a_url_takes_as_it_is(ledger: KeyLedger, folded: list[APIKey]) -> None:
    cursor = ledger.audit.history(page_size=1).next_cursor

    assert cursor is not None
    assert set(cursor) <= set(ascii_letters + digits + "-_")
    assert len(cursor) < 40


def test_descending_pages_end_without_a_cursor_and_ascending_ones_can_be_followed(
    ledger: KeyLedger, folded: list[APIKey], create: Create
) -> None:
    last = walked(ledger, 5, descending=False)[-1]
    assert last.next_cursor is None
    assert walked(ledger, 5)[-1].end_cursor is None

    nothing_yet = ledger.audit.history(descending=False, cursor=last.end_cursor)
    create(name="later")
    later = ledger.audit.history(descending=False, cursor=nothing_yet.end_cursor, fresh=True)

    assert nothing_yet.entries == ()
    assert [entry.details["name"] for entry in later.entries] == ["later"]


def test_an_empty_history_can_be_followed_from_its_beginning(ledger: KeyLedger, create: Create) -> None:
    empty = ledger.audit.history(descending=False)
    key = create()

    first = ledger.audit.history(descending=False, cursor=empty.end_cursor, fresh=True)

    assert (empty.entries, empty.next_cursor) == ((), None)
    assert [entry.api_key_id for entry in first.entries] == [key.id]


def test_a_page_may_be_of_another_size_than_the_one_before(ledger: KeyLedger, folded: list[APIKey]) -> None:
    whole = ledger.audit.history().entries
    first = ledger.audit.history(page_size=3)

    assert ledger.audit.history(page_size=50, cursor=first.next_cursor).entries == whole[3:]


def test_a_cursor_is_refused_with_other_filters_or_the_other_order(
    ledger: KeyLedger, folded: list[APIKey]
) -> None:
    filters: dict[str, Any] = {"subject": "user_1", "event_types": ["KeyUsed"]}
    cursor = ledger.audit.history(page_size=1, **filters).next_cursor

    for other in (
        {"subject": "user_2"},
        {"subject": None},
        {"descending": False},
        {"event_types": ["KeyUsed", "KeyCreated"]},
        {"actor": "user_1"},
        {"credential_id": "ak_" + "0" * 32},
        {"since": datetime(2026, 1, 1, tzinfo=UTC)},
        {"until": datetime(2126, 1, 1, tzinfo=UTC)},
    ):
        with pytest.raises(InvalidArgument, match="same filters") as refused:
            ledger.audit.history(cursor=cursor, **(filters | other))
        assert refused.value.param == "cursor"


def test_a_cursor_outlives_a_version_that_brings_an_event_type(
    ledger: KeyLedger, folded: list[APIKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = walked(ledger, 5, descending=False)[-1].end_cursor

    monkeypatch.setattr("keyledger.infrastructure.history_view.TOPICS", (*TOPICS, "KeyRotated"))

    assert ledger.audit.history(descending=False, cursor=cursor).entries == ()


@pytest.mark.parametrize(
    ("filters", "cursor"),
    [
        ({}, "AQAAAAAAAAADAAAAALF1Be0ZWJ2r"),
        ({"subject": "user_1"}, "AQAAAAAAAAADAAAAABMdMTAceMVo"),
        (
            {"subject": "user_1", "actor": "user_1", "event_types": ["KeyCreated", "KeyUsed"]},
            "AQAAAAAAAAADAAAAAC_J3J8m29sh",
        ),
    ],
)
def test_a_cursor_that_was_given_before_a_credential_could_be_asked_for_is_good_still(
    ledger: KeyLedger, folded: list[APIKey], filters: dict[str, Any], cursor: str
) -> None:
    whole = ledger.audit.history(descending=False, **filters).entries

    found = ledger.audit.history(descending=False, cursor=cursor, **filters)

    assert found.entries == tuple(entry for entry in whole if entry.position >= 3)
    with pytest.raises(InvalidArgument, match="same filters"):
        ledger.audit.history(descending=False, cursor=cursor, credential_id="ak_" + "0" * 32, **filters)


def test_filters_that_mean_the_same_take_the_same_cursor(ledger: KeyLedger, folded: list[APIKey]) -> None:
    types = ["KeyUsed", "KeyCreated"]
    cursor = ledger.audit.history(actor="user_1", event_types=types, descending=False).end_cursor

    same = ledger.audit.history(
        actor=Actor(user_id="user_1"), event_types=set(types), descending=False, cursor=cursor
    )

    assert same.entries == ()


def test_garbage_is_no_cursor(ledger: KeyLedger, folded: list[APIKey]) -> None:
    good = ledger.audit.history(page_size=1).next_cursor
    assert good is not None
    damaged = [good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :] for place in (0, 20, 27)]
    huge = urlsafe_b64encode(b"\x01" + b"\xff" * 20).decode()
    fields = urlsafe_b64decode(good)
    backwards = [
        urlsafe_b64encode(fields[:9] + taken.to_bytes(4, signed=True) + fields[13:]).decode()
        for taken in (-1, -3, -(2**31))
    ]
    texts = [
        "",
        "x",
        good[:-1],
        f"{good}A",
        f"{good}\n",
        "é" * 28,
        "A" * 28,
        "A" * 10**6,
        huge,
        *damaged,
        *backwards,
    ]
    for garbage in [*texts, 5, b"x", good.encode()]:
        with pytest.raises(InvalidArgument) as refused:
            ledger.audit.history(cursor=garbage)  # type: ignore[arg-type]
        assert refused.value.param == "cursor"


def test_an_event_whose_clock_was_wrong_is_found_by_the_time_it_tells_and_leads_no_other_astray(
    open_ledger: Callable[..., KeyLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, day = open_ledger(Settings(background_worker=False)), timedelta(days=1)
    now, told = datetime.now(UTC), {}
    for name, days in [("a00", 0), ("ahead", 400), ("a01", 0), ("behind", -400), ("a02", 0)]:
        monkeypatch.setattr(ledger.api_keys, "_clock", lambda days=days: datetime.now(UTC) + days * day)
        told[name] = ledger.api_keys.create(name=name, subject="user_1").created_at
        ledger.catch_up()

    def names(**times: datetime) -> list[str]:
        for filters in ({"subject": "user_1"}, {"event_types": ["KeyCreated"]}, {}):
            pages = walked(ledger, 2, descending=False, **filters, **times)
            assert joined(pages) == joined(walked(ledger, 2, **filters, **times))[::-1]
        return [entry.details["name"] for entry in joined(pages)]

    assert names(until=now - day) == ["behind"]
    assert names(since=now + day) == ["ahead"]
    assert names(since=now - day, until=now + day) == ["a00", "a01", "a02"]
    assert names(until=now + day) == ["a00", "a01", "behind", "a02"]
    assert names(since=now - day) == ["a00", "ahead", "a01", "a02"]
    assert names(since=told["ahead"], until=told["ahead"] + timedelta(microseconds=1)) == ["ahead"]


def write(ledger: KeyLedger, key: APIKey, read: Event) -> None:
    """Use a key many times, and change it now and then; the last times only once something has been read."""
    for turn in range(120):
        assert turn < 100 or read.wait(60)
        ledger.verify(key.secret, use=Use(path=f"/{turn}"))
        if turn % 7 == 0:
            ledger.api_keys.update(key.id, description=str(turn))


@pytest.mark.parametrize("timed", [False, True])
def test_while_many_write_pages_in_both_directions_neither_skip_nor_repeat(
    open_ledger: Callable[..., KeyLedger], timed: bool
) -> None:
    ledger = open_ledger()
    keys = [ledger.api_keys.create(name=f"key {number}", subject=f"user_{number % 2}") for number in range(6)]
    filters: dict[str, Any] = {"subject": "user_1"} | ({"since": keys[0].created_at} if timed else {})
    followed, cursor, backwards, read = [], None, [], Event()

    with ThreadPoolExecutor(len(keys)) as pool:
        writers = [pool.submit(write, ledger, key, read) for key in keys]
        while not all(writer.done() for writer in writers):
            page = ledger.audit.history(descending=False, page_size=7, cursor=cursor, **filters)
            followed, cursor = [*followed, *page.entries], page.end_cursor
            if len(followed) // 50 > len(backwards):
                backwards.append(joined(walked(ledger, 9, **filters)))
                read.set()
    while (page := ledger.audit.history(descending=False, cursor=cursor, fresh=True, **filters)).entries:
        followed, cursor = [*followed, *page.entries], page.end_cursor

    whole = list(ledger.audit.export(fresh=True, **filters))
    assert [writer.result() for writer in writers] == [None] * 6
    assert followed == whole
    assert len(whole) == 3 * (1 + 120 + 18)
    for found in backwards:
        assert found[::-1] == whole[: len(found)]


def test_a_page_of_more_bytes_than_are_read_at_once_is_whole(
    ledger: KeyLedger, folded: list[APIKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ledger.audit.history().entries

    monkeypatch.setattr("keyledger.infrastructure.history_view._BYTES", 1)

    assert ledger.audit.history().entries == whole
    assert tuple(ledger.audit.export()) == tuple(whole[::-1])
