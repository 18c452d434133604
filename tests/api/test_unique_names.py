"""Names that no two live keys of a subject have, where that is switched on."""

import threading
from collections.abc import Callable

import pytest

from keyledger import APIKey, KeyLedger, NameConflict, Settings


@pytest.fixture
def strict(open_ledger: Callable[..., KeyLedger]) -> KeyLedger:
    """A ledger with unique names."""
    return open_ledger(Settings(unique_names=True))


def made(ledger: KeyLedger, name: str = "Deployments", subject: str = "org_1", **more: object) -> APIKey:
    return ledger.api_keys.create(name=name, subject=subject, **more)  # type: ignore[arg-type]


def test_by_default_names_are_free(ledger: KeyLedger) -> None:
    made(ledger)
    made(ledger)
    assert ledger.api_keys.get_all(subject="org_1").total_count == 2


def test_a_second_live_key_of_the_name_is_refused(strict: KeyLedger) -> None:
    made(strict)
    with pytest.raises(NameConflict, match="a live API key of the same subject has this name"):
        made(strict)
    assert strict.api_keys.get_all(subject="org_1").total_count == 1


def test_another_subject_and_another_spelling_are_other_names(strict: KeyLedger) -> None:
    made(strict)
    made(strict, subject="org_2")
    made(strict, name="deployments")


@pytest.mark.parametrize("end", ["revoked", "deleted", "expired"])
def test_a_name_is_free_again_when_its_key_has_ended(strict: KeyLedger, end: str) -> None:
    key = made(strict, seconds_until_expiration=0.001 if end == "expired" else None)
    if end == "revoked":
        strict.api_keys.revoke(key.id)
    elif end == "deleted":
        strict.api_keys.delete(key.id)
    made(strict)


def test_an_update_does_not_bring_a_key_among_others_of_its_name(strict: KeyLedger) -> None:
    made(strict)
    other, expired = made(strict, subject="org_2"), made(strict, name="Old", seconds_until_expiration=0.001)
    made(strict, name="Old")
    with pytest.raises(NameConflict):
        strict.api_keys.update(other.id, subject="org_1")
    with pytest.raises(NameConflict):
        strict.api_keys.update(expired.id, seconds_until_expiration=None)
    assert strict.api_keys.get(other.id).subject == "org_2"
    assert strict.api_keys.update(other.id, subject="org_3").subject == "org_3"


def test_of_many_at_once_one_is_made(dsn: str, open_ledger: Callable[..., KeyLedger]) -> None:
    ledgers = [open_ledger(Settings(unique_names=True)) for _ in range(2)]
    outcomes: list[str] = []
    barrier = threading.Barrier(16)

    def work(ledger: KeyLedger) -> None:
        barrier.wait()
        try:
            made(ledger)
            outcomes.append("made")
        except NameConflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(ledgers[number % 2],)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["refused"] * 15
    assert ledgers[0].api_keys.get_all(subject="org_1").total_count == 1


def test_a_repetition_with_an_idempotency_key_is_no_conflict(strict: KeyLedger) -> None:
    key = made(strict, idempotency_key="once")
    again = made(strict, idempotency_key="once")
    assert (again.id, again.secret_already_issued) == (key.id, True)
    with pytest.raises(NameConflict):
        made(strict, idempotency_key="another")
    strict.api_keys.revoke(key.id)
    assert made(strict, idempotency_key="another").id != key.id  # the refusal has not used it up
