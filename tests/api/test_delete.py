"""Deleting a key: it is gone for everyone who reads, and its history stays."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from keyledger import Actor, APIKey, IdempotencyConflict, KeyLedger, KeyLedgerError, KeyNotFound, Use
from keyledger.cli import program
from keyledger.domain.events import KeyDeleted


def test_a_deleted_key_is_found_by_no_id_list_or_secret(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key, other = create(name="deleted"), create(name="kept")
    assert ledger.verify(key.secret or "").valid

    ledger.api_keys.delete(key.id)

    with pytest.raises(KeyNotFound):
        ledger.api_keys.get(key.id)
    with pytest.raises(KeyNotFound):
        key.reload()
    page = ledger.api_keys.get_all(subject="user_1", include_invalid=True)
    assert ([each.id for each in page.data], page.total_count) == ([other.id], 1)
    assert ledger.api_keys.get_all(subject="user_1", query="delet", include_invalid=True).total_count == 0
    found = ledger.verify(key.secret or "")
    assert (found.valid, found.code, found.api_key) == (False, "not_found", None)


def test_what_would_change_it_finds_no_key(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    ledger.api_keys.delete(key.id)
    for call in (ledger.api_keys.delete, ledger.api_keys.revoke):
        with pytest.raises(KeyNotFound):
            call(key.id)
    with pytest.raises(KeyNotFound):
        ledger.api_keys.update(key.id, description="x")


def test_it_is_one_event_with_its_actor(
    ledger: KeyLedger, create: Callable[..., APIKey], events: Callable[..., list[Any]]
) -> None:
    key, ada = create(), Actor(user_id="user_ada", request_id="req_1")
    ledger.on_behalf_of(ada).api_keys.delete(key.id)
    (event,) = events(key, KeyDeleted)
    assert event.actor == ada


def test_a_revoked_and_an_expired_key_can_be_deleted(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    revoked, expired = create(), create(seconds_until_expiration=0.001)
    ledger.api_keys.revoke(revoked.id)
    for key in (revoked, expired):
        ledger.api_keys.delete(key.id)
    assert ledger.api_keys.get_all(subject="user_1", include_invalid=True).total_count == 0


def test_another_process_s_memory_lets_go_of_it(
    open_ledger: Callable[..., KeyLedger], eventually: Callable[..., Any]
) -> None:
    one, other = open_ledger(), open_ledger()
    key = one.api_keys.create(name="a key", subject="user_1")
    assert other.verify(key.secret or "").valid
    one.api_keys.delete(key.id)
    assert eventually(lambda: other.verify(key.secret or "").code == "not_found")


def test_the_history_keeps_all_of_it(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    ledger.verify(key.secret or "", use=Use(request_id="req_before"))
    ledger.api_keys.delete(key.id)
    entries = ledger.audit.history(api_key_id=key.id, descending=False, fresh=True).entries
    assert sorted(entry.event_type for entry in entries) == ["KeyCreated", "KeyDeleted", "KeyUsed"]
    assert {entry.subject for entry in entries} == {"user_1"}
    (used,) = (entry for entry in entries if entry.event_type == "KeyUsed")
    # The use was stored after the deletion, and the entry says so.
    assert used.details.get("recorded_after_revocation", False) is (
        used.position > max(entry.position for entry in entries if entry.event_type == "KeyDeleted")
    )


def test_the_past_has_it_until_then(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    before, then = ledger.replay.position(), datetime.now(UTC)
    ledger.api_keys.delete(key.id)
    after = ledger.replay.position()

    for moment in (before, then):
        past = ledger.replay.key_as_of(key.id, moment)
        assert past is not None
        assert past.name == key.name
    assert ledger.replay.key_as_of(key.id, after) is None
    assert [each.id for each in ledger.replay.keys_as_of(before)] == [key.id]
    assert list(ledger.replay.keys_as_of(after, include_invalid=True)) == []

    (change,) = ledger.replay.diff(before, after, subject="user_1")
    assert (change.kind, change.event_type, change.after) == ("lost", "KeyDeleted", None)
    assert (change.position, change.before and change.before.id) == (after, key.id)
    assert list(ledger.replay.diff(0, after)) == []


def test_every_read_model_is_what_the_events_make_it(new_database: Callable[[], str]) -> None:
    with KeyLedger.open(new_database()) as ledger:
        keys = [ledger.api_keys.create(name=f"key {number}", subject="user_1") for number in range(6)]
        ledger.api_keys.update(keys[0].id, subject="org_1")
        ledger.api_keys.revoke(keys[1].id)
        for key in keys[:4]:
            ledger.verify(key.secret or "")
            ledger.api_keys.delete(key.id)
        ledger.catch_up()
        assert ledger.replay.verify_projections().ok
        assert all(each.equal for each in ledger.replay.rebuild().projections)
        assert ledger.api_keys.get_all(subject="user_1").total_count == 2


def test_long_lists_count_it_out_at_once(
    ledger: KeyLedger, create: Callable[..., APIKey], list_limits: Callable[..., None]
) -> None:
    list_limits(few_keys=3, leaf_keys=4, most_waiting=100)
    keys = [create(name=f"key {number}") for number in range(12)]
    ledger.catch_up()
    for gone in (keys[5], keys[11], keys[0]):
        ledger.api_keys.delete(gone.id)
        kept = [key.id for key in reversed(keys) if key is not gone]
        keys = [key for key in keys if key is not gone]
        for _ in range(2):  # before the counts know of it, and after
            for include_invalid in (True, False):
                page = ledger.api_keys.get_all(subject="user_1", page_size=100, include_invalid=include_invalid)
                assert ([key.id for key in page.data], page.total_count) == (kept, len(kept))
            ledger.catch_up()


def test_of_many_at_once_one_deletes_and_a_revocation_beside_them_does_no_harm(
    ledger: KeyLedger, create: Callable[..., APIKey], events: Callable[..., list[Any]]
) -> None:
    key, outcomes = create(), []
    barrier = threading.Barrier(8)

    def work(call: Callable[[str], Any]) -> None:
        barrier.wait()
        try:
            call(key.id)
            outcomes.append((call, "done"))
        except KeyLedgerError as error:
            outcomes.append((call, type(error).__name__))

    calls = [ledger.api_keys.delete] * 6 + [ledger.api_keys.revoke] * 2
    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    deletions = [outcome for call, outcome in outcomes if call == ledger.api_keys.delete]
    assert sorted(deletions) == ["KeyNotFound"] * 5 + ["done"]
    assert len(events(key, KeyDeleted)) == 1
    with pytest.raises(KeyNotFound):
        ledger.api_keys.get(key.id)


def test_an_idempotency_key_does_not_bring_it_back(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create(idempotency_key="once")
    ledger.api_keys.delete(key.id)
    with pytest.raises(IdempotencyConflict, match="deleted since"):
        create(idempotency_key="once")


def test_the_command_line_deletes(ledger: KeyLedger, create: Callable[..., APIKey], dsn: str) -> None:
    key = create()
    for code, said in ((0, "is deleted; its history stays"), (1, "no API key has the id")):
        done = CliRunner().invoke(program, ["keys", "delete", key.id, "--dsn", dsn])
        assert done.exit_code == code
        assert said in done.output
    told = CliRunner().invoke(program, ["replay", "diff", "--from", "@1", "--to", "@2", "--dsn", dsn])
    assert "deleted" in told.stdout
