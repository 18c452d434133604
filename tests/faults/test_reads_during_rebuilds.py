"""While read models are rebuilt over and over, every read is answered, and with all that there is."""

from collections.abc import Callable
from threading import Event

from support import lives
from support.program import together

from keyledger import APIKey, KeyLedger

REBUILDS = 4


def reads_of(ledger: KeyLedger, keys: list[APIKey]) -> dict[str, Callable[[], object]]:
    """Reads of every read model, whose answers are the same as long as nobody writes."""
    api_keys, audit = ledger.api_keys, ledger.audit
    return {
        "a key": lambda: api_keys.get(keys[0].id),
        "a revoked key": lambda: api_keys.get(keys[1].id),
        "a list": lambda: api_keys.get_all(subject="org_0", page_size=100, include_invalid=True),
        "a page of a list": lambda: api_keys.get_all(subject="org_9", initial_page=2, page_size=1),
        "a search": lambda: api_keys.get_all(subject="org_0", query="KEY"),
        "a key's history": lambda: audit.history(api_key_id=keys[2].id).entries,
        "an export": lambda: list(audit.export()),
    }


def test_no_read_fails_or_finds_a_part(ledger: KeyLedger) -> None:
    keys = lives.live(ledger, 12)
    position = ledger.catch_up()
    reads = reads_of(ledger, keys)
    answers = {name: read() for name, read in reads.items()}
    over, wrong = Event(), list[str]()

    def go_on_reading(name: str) -> int:
        count = 0
        while not over.is_set():
            count += 1
            if reads[name]() != answers[name]:
                wrong.append(name)
        return count

    def rebuild() -> int:
        try:
            reports = [ledger.replay.rebuild() for _ in range(REBUILDS)]
        finally:
            over.set()
        rebuilt = [each for report in reports for each in report.projections]
        return sum(bool(each.equal and each.switched and each.events == position) for each in rebuilt)

    counts = together([rebuild, *(lambda name=name: go_on_reading(name) for name in reads)])

    assert all(getattr(answer, "data", answer) for answer in answers.values())
    assert not [each for each in counts if isinstance(each, Exception)]
    assert not wrong
    assert all(isinstance(each, int) and each >= REBUILDS for each in counts)
    assert counts[0] == REBUILDS * (1 + len(ledger.status().projections))
