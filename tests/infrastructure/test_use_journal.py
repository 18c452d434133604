"""The journal: which uses are not stored, as a process that was killed leaves it."""

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from keyledger.domain.ids import new_uuid
from keyledger.infrastructure.uses.files import UseFolder, has_orphans, orphans
from keyledger.infrastructure.uses.journal import NAME, UseJournal, unstored

ONE, OTHER = new_uuid(), new_uuid()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[UseFolder]:
    found = UseFolder.create(tmp_path / "uses")
    yield found
    found.remove()


@pytest.fixture
def journal(folder: UseFolder) -> UseJournal:
    return UseJournal(folder, uses=100, shed_keys=2)


def take(journal: UseJournal, key_id: UUID) -> int:
    """What recording does."""
    slot = next(journal.numbers) & journal.mask
    journal.low[slot], journal.high[slot] = key_id.int & (1 << 64) - 1, key_id.int >> 64
    return slot


def slots(*taken: int) -> "array[int]":
    return array("q", taken)


def left(folder: UseFolder, progress: int = 0) -> Counter[UUID]:
    return unstored((folder.path / NAME).read_bytes(), progress)


def test_what_was_taken_and_not_stored_is_counted_by_key(folder: UseFolder, journal: UseJournal) -> None:
    for key_id in (ONE, OTHER, ONE):
        take(journal, key_id)
    assert left(folder) == {ONE: 2, OTHER: 1}


def test_what_is_stored_counts_no_more(folder: UseFolder, journal: UseJournal) -> None:
    first, _ = take(journal, ONE), take(journal, ONE)
    journal.mark(slots(first), 1)
    journal.clear(slots(first))
    assert left(folder) == {ONE: 1}


@pytest.mark.parametrize(("progress", "expected"), [(0, 2), (1, 1), (2, 0)])
def test_of_a_flush_that_was_on_its_way_the_ledger_says_whether_it_is_stored(
    folder: UseFolder, journal: UseJournal, progress: int, expected: int
) -> None:
    for number in (1, 2):
        journal.mark(slots(take(journal, ONE)), number)
    assert left(folder, progress).total() == expected


def test_a_slot_serves_again_and_without_its_old_mark(folder: UseFolder, journal: UseJournal) -> None:
    slot = take(journal, ONE)
    journal.mark(slots(slot), 1)
    journal.clear(slots(slot))
    while take(journal, OTHER) != slot:
        pass
    assert left(folder, progress=1)[OTHER] == journal.mask + 1


def test_shed_uses_are_counted_by_key_until_that_is_on_record(folder: UseFolder, journal: UseJournal) -> None:
    assert [journal.shed(key_id.int) for key_id in (ONE, ONE, OTHER)] == [True] * 3
    assert not journal.shed(new_uuid().int), "there is no room for a third key"
    assert left(folder) == {ONE: 2, OTHER: 1}

    taken = journal.take_shed(10, 1)
    assert taken.counts == {ONE: 2, OTHER: 1}
    assert left(folder, progress=1) == {}

    journal.clear_shed(taken.places)
    assert journal.shed(new_uuid().int)
    assert left(folder).total() == 1


@pytest.mark.parametrize("damage", ["10 bytes", "31 bytes", "32 bytes", "500 bytes", "another beginning"])
def test_a_damaged_journal_states_no_loss_and_that_is_said(
    folder: UseFolder, journal: UseJournal, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    take(journal, ONE)
    data = (folder.path / NAME).read_bytes()
    damaged = b"another" + data[7:] if damage == "another beginning" else data[: int(damage.split()[0])]
    assert unstored(damaged, 0) == {}
    assert "the uses that it lost are not known" in caplog.text


@pytest.mark.parametrize("data", [b"", bytes(10), bytes(100_000)])
def test_a_journal_whose_process_ended_before_it_began_lost_nothing(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert unstored(data, 0) == {}
    assert not caplog.text


def test_the_disk_has_given_the_room_for_it_before_the_first_use(folder: UseFolder, journal: UseJournal) -> None:
    found = (folder.path / NAME).stat()
    assert found.st_blocks * 512 >= found.st_size


def test_the_files_are_for_their_owner_alone(folder: UseFolder, journal: UseJournal) -> None:
    assert folder.path.stat().st_mode & 0o777 == folder.path.parent.stat().st_mode & 0o777 == 0o700
    assert {entry.stat().st_mode & 0o777 for entry in folder.path.iterdir()} == {0o600}


def test_a_folder_is_an_orphan_once_its_process_lets_go_and_for_one_finder_only(tmp_path: Path) -> None:
    folder = UseFolder.create(tmp_path / "uses")
    assert not has_orphans(tmp_path / "uses")
    folder.abandon()
    assert has_orphans(tmp_path / "uses")

    (found,) = orphans(tmp_path / "uses")
    assert found.source == folder.source
    assert not has_orphans(tmp_path / "uses")
    found.remove()
    assert not list((tmp_path / "uses").iterdir())


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("not ours")
    (tmp_path / "photographs").mkdir()
    assert not has_orphans(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README", "photographs"]
