"""Lists and searches where one subject has a million keys, beside plain OFFSET, count(*) and ILIKE."""

import re
import statistics
from collections.abc import Callable
from contextlib import closing
from uuid import UUID

import psycopg

from keyledger import KeyLedger, Settings
from scripts.benchmarks import many_keys, report
from scripts.benchmarks.databases import new_database
from scripts.benchmarks.many_keys import LARGE, RARE, RARE_THREES, Timings, small
from scripts.benchmarks.measure import latencies
from scripts.benchmarks.scale import Scale

SIZE = 10
SMALL_SUBJECTS = 2_000
REVOKED = 0.3

PLAIN_VALID = "revoked_at IS NULL AND (expiration IS NULL OR expiration > now())"
PLAIN_PAGE = f"""
SELECT * FROM keyledger.api_keys WHERE subject = %s AND {PLAIN_VALID}
ORDER BY created_at DESC, id DESC LIMIT {SIZE} OFFSET %s
"""
PLAIN_COUNT = f"SELECT count(*) FROM keyledger.api_keys WHERE subject = %s AND {PLAIN_VALID}"
PLAIN_SEARCH = f"""
SELECT * FROM keyledger.api_keys WHERE subject = %s AND {PLAIN_VALID} AND name ILIKE %s
ORDER BY created_at DESC, id DESC LIMIT {SIZE}
"""
PLAIN_KEY = "SELECT * FROM keyledger.api_keys WHERE id = %s"

Calls = dict[str, Callable[[int], object]]


def run(dsn: str, scale: Scale) -> None:
    """Measure with no key revoked, then with some revoked in between."""
    with new_database(dsn) as filled:
        _say_how_long(many_keys.fill(filled, scale.listed_keys, SMALL_SUBJECTS))
        _measure(filled, scale, "no key revoked")
        with new_database(dsn, like=filled) as copied:
            _say_how_long(many_keys.revoke(copied, REVOKED))
            _measure(copied, scale, f"{REVOKED:.0%} revoked")


def _say_how_long(timings: Timings) -> None:
    sequenced, listed = timings.events / timings.sequencing, timings.events / timings.listing
    report.note(
        f"\n{timings.events:,} events: {timings.sequencing:.1f} s to give positions ({sequenced:,.0f}/s),"
        f" {timings.listing:.1f} s to bring the listing read model up ({listed:,.0f}/s)"
    )


def _measure(dsn: str, scale: Scale, what: str) -> None:
    settings = Settings(background_worker=False)
    with KeyLedger.open(dsn, settings=settings) as ledger, closing(psycopg.connect(dsn, autocommit=True)) as plain:
        total = ledger.api_keys.get_all(subject=LARGE).total_count
        title = f"{total:,} keys of one subject, {what}"
        half, last = total // SIZE // 2, -(-total // SIZE)
        _pages(ledger, scale, title, half, last)
        _searches(ledger, plain, scale, title)
        _few(ledger, plain, scale)
        _plain(plain, title, half, last)


def _pages(ledger: KeyLedger, scale: Scale, title: str, half: int, last: int) -> None:
    def page(number: int, size: int = SIZE) -> Callable[[int], object]:
        def call(_: int) -> None:
            assert ledger.api_keys.get_all(subject=LARGE, initial_page=number, page_size=size).data

        return call

    names = {f"page {half:,}": page(half), f"page {last:,}, the last": page(last)}
    found = latencies(
        {"page 1": page(1), **names, "total_count, with 1 key": page(1, 1)}, scale.list_calls, warm_up=20
    )
    report.latency(title, found, most=dict.fromkeys(names, 2), within={"total_count, with 1 key": 2_000})


def _searches(ledger: KeyLedger, plain: psycopg.Connection, scale: Scale, title: str) -> None:
    """Other terms at each call, but for those of one and two characters, of which there are not so many."""
    rows: list[tuple[UUID, str]] = plain.execute(
        "SELECT id, name FROM keyledger.api_keys WHERE subject = %s ORDER BY id LIMIT 1000", (LARGE,)
    ).fetchall()
    ids, hexes = [row[0] for row in rows], [text for row in rows for text in re.findall("[0-9a-f]{8}", row[1])]

    def search(terms: list[str]) -> Callable[[int], object]:
        return lambda number: ledger.api_keys.get_all(subject=LARGE, query=terms[number % len(terms)])

    def key(number: int) -> object:
        return plain.execute(PLAIN_KEY, (ids[number % len(ids)],), prepare=True).fetchone()

    three = f"3 characters, {_mean(ledger, RARE_THREES)}"
    calls: Calls = {
        "SELECT by primary key": key,
        "api_keys.get": lambda number: ledger.api_keys.get(f"ak_{ids[number % len(ids)].hex}"),
        three: search(RARE_THREES),
        f"5 characters, {_mean(ledger, [text[:5] for text in hexes])}": search([text[:5] for text in hexes]),
        f"2 characters, {_matches(ledger, RARE)}": search([RARE]),
        f"1 character, {_matches(ledger, RARE[0])}": search([RARE[0]]),
    }
    found = latencies(calls, scale.list_calls, warm_up=20)
    report.latency(f"{title}: search", found, most={three: 10}, within={three: 3_000})
    often = [text[:3] for text in hexes]
    broad: Calls = {
        f"3 characters, {_mean(ledger, often)}": search(often),
        **{f"{term!r}, {_matches(ledger, term)}": search([term]) for term in ("7f", "export", "e")},
    }
    report.latency(f"{title}: a search that many match", latencies(broad, 5, warm_up=1), most={})


def _matches(ledger: KeyLedger, term: str) -> str:
    return f"{ledger.api_keys.get_all(subject=LARGE, query=term).total_count:,} matches"


def _mean(ledger: KeyLedger, terms: list[str]) -> str:
    found = [ledger.api_keys.get_all(subject=LARGE, query=term).total_count for term in terms[:20]]
    return f"{statistics.mean(found):,.0f} matches"


def _few(ledger: KeyLedger, plain: psycopg.Connection, scale: Scale) -> None:
    """The list of a subject with five keys, and what it was before there were counts."""

    def plain_page(number: int) -> tuple[object, object]:
        subject = small(number % SMALL_SUBJECTS)
        return (
            plain.execute(PLAIN_COUNT, (subject,)).fetchone(),
            plain.execute(PLAIN_PAGE, (subject, 0)).fetchall(),
        )

    calls: Calls = {
        "OFFSET and count(*)": plain_page,
        "get_all": lambda number: ledger.api_keys.get_all(subject=small(number % SMALL_SUBJECTS)),
        "get_all, searching": lambda number: ledger.api_keys.get_all(
            subject=small(number % SMALL_SUBJECTS), query="ex"
        ),
    }
    report.latency("5 keys of a subject, beside it", latencies(calls, scale.list_calls, warm_up=20), most={})


def _plain(plain: psycopg.Connection, title: str, half: int, last: int) -> None:
    def page(number: int) -> Callable[[int], object]:
        return lambda _: plain.execute(PLAIN_PAGE, (LARGE, (number - 1) * SIZE)).fetchall()

    calls: Calls = {
        "OFFSET, page 1": page(1),
        f"OFFSET, page {half:,}": page(half),
        f"OFFSET, page {last:,}": page(last),
        "count(*)": lambda _: plain.execute(PLAIN_COUNT, (LARGE,)).fetchone(),
        "ILIKE, 3 characters": lambda number: plain.execute(
            PLAIN_SEARCH, (LARGE, f"%{RARE_THREES[number]}%")
        ).fetchall(),
    }
    report.latency(f"{title}: plain statements", latencies(calls, 5, warm_up=1), most={})
