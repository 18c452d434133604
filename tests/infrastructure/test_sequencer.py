"""The sequencer gives each committed event one position, dense, in each key's order."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest
from support.appending import append, append_new
from support.sequencing import assert_sequenced, positioned

from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.sequencer import Sequencer

HOUR = 3600.0


@pytest.fixture
def writer(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to append with."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def sequencer(database: Database) -> Sequencer:
    return Sequencer(database)


@pytest.fixture
def holder(sequencer: Sequencer) -> Sequencer:
    """A sequencer that holds the role."""
    assert sequencer.claim()
    return sequencer


@pytest.fixture
def order(dsn: str) -> Callable[[], list[UUID]]:
    """The streams of the events in the order of their positions."""

    def read() -> list[UUID]:
        with psycopg.connect(dsn) as connection:
            assert_sequenced(connection)
            rows = connection.execute("SELECT originator_id FROM keyledger.positions ORDER BY position").fetchall()
        return [stream for (stream,) in rows]

    return read


def row(connection: psycopg.Connection) -> tuple[Any, ...]:
    """The sequencer's row: position, epoch, holder."""
    ((*found,),) = connection.execute("SELECT position, epoch, holder FROM keyledger.sequencer").fetchall()
    return tuple(found)


def test_events_get_positions_from_one_in_the_order_of_their_arrival(
    holder: Sequencer, writer: psycopg.Connection, order: Callable[[], list[UUID]]
) -> None:
    streams = [append_new(writer)[0] for _ in range(5)]

    assert holder.step() == 5
    assert order() == streams
    assert holder.head == 5


def test_a_batch_holds_no_more_than_the_limit_and_the_next_goes_on_after_it(
    holder: Sequencer, writer: psycopg.Connection, order: Callable[[], list[UUID]]
) -> None:
    streams = append_new(writer, 10)

    assert [holder.step(limit=4) for _ in range(4)] == [4, 4, 2, 0]
    assert order() == streams


def test_an_event_that_is_committed_after_a_later_arrival_is_not_missed(
    holder: Sequencer, dsn: str, writer: psycopg.Connection, order: Callable[[], list[UUID]]
) -> None:
    with psycopg.connect(dsn) as slow:
        late = append_new(slow)
        early = append_new(writer)
        assert holder.step() == 1
        slow.commit()

    assert holder.step() == 1
    assert order() == early + late


def test_an_event_that_was_rolled_back_leaves_no_hole(
    holder: Sequencer, dsn: str, writer: psycopg.Connection, order: Callable[[], list[UUID]]
) -> None:
    before = append_new(writer)
    with psycopg.connect(dsn) as never:
        append_new(never, 3)
        never.rollback()
    after = append_new(writer)

    assert holder.step() == 2
    assert order() == before + after


def test_without_the_role_no_position_is_given(sequencer: Sequencer, writer: psycopg.Connection) -> None:
    append_new(writer)

    assert sequencer.step() == 0
    assert row(writer)[0] == 0


def test_the_role_has_one_holder_until_its_lease_is_over(
    holder: Sequencer, database: Database, writer: psycopg.Connection
) -> None:
    other = Sequencer(database)
    assert not other.claim()

    writer.execute("UPDATE keyledger.sequencer SET held_until = clock_timestamp()")

    assert other.claim()
    assert not other.step()


def test_a_renewed_lease_is_longer(database: Database, writer: psycopg.Connection) -> None:
    holder = Sequencer(database, lease_seconds=HOUR)
    holder.claim()
    ((before,),) = writer.execute("SELECT held_until FROM keyledger.sequencer").fetchall()
    holder._renew_at = 0.0

    assert holder.claim()
    ((after,),) = writer.execute("SELECT held_until FROM keyledger.sequencer").fetchall()
    assert after > before


def test_a_released_role_is_free_at_once(
    holder: Sequencer, database: Database, writer: psycopg.Connection
) -> None:
    holder.release()

    assert not holder.holds_role
    assert Sequencer(database).claim()


def test_who_lost_the_role_cannot_release_it(
    holder: Sequencer, database: Database, writer: psycopg.Connection
) -> None:
    writer.execute("UPDATE keyledger.sequencer SET held_until = NULL")
    assert Sequencer(database, lease_seconds=HOUR).claim()

    holder.release()

    assert not Sequencer(database, lease_seconds=HOUR).claim()


def test_a_former_holder_writes_nothing_in_its_old_epoch(
    holder: Sequencer, database: Database, writer: psycopg.Connection
) -> None:
    append_new(writer, 3)
    writer.execute("UPDATE keyledger.sequencer SET held_until = NULL")
    other = Sequencer(database)
    assert other.claim()
    before = row(writer)

    assert holder.step() == 0

    assert row(writer) == before
    assert not holder.claim()
    assert not holder.holds_role
    assert other.step() == 3
    assert_sequenced(writer)


def test_a_holder_whose_head_is_not_the_heads_any_more_gives_nothing_and_then_goes_on(
    holder: Sequencer, database: Database, writer: psycopg.Connection
) -> None:
    append_new(writer, 3)
    Sequencer(database).catch_up()  # which leaves the role alone, as a lost answer does
    append_new(writer, 2)

    assert holder.step() == 0
    assert holder.claim()
    assert holder.step() == 2
    assert row(writer)[:2] == (5, 1)
    assert_sequenced(writer)


def test_a_clock_that_was_set_back_does_not_lock_everybody_out(
    sequencer: Sequencer, writer: psycopg.Connection
) -> None:
    writer.execute("UPDATE keyledger.sequencer SET held_until = clock_timestamp() + interval '1 hour'")

    assert sequencer.claim()


def test_a_sequencer_in_several_threads_gives_each_event_one_position(
    holder: Sequencer, dsn: str, writer: psycopg.Connection
) -> None:
    append_new(writer, 300)

    def work(_: int) -> None:
        while row_count(dsn):
            holder.claim()
            holder.step(limit=7)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))

    assert positioned(dsn) == 300


def row_count(dsn: str) -> int:
    """How many events wait."""
    with psycopg.connect(dsn) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM keyledger.outbox").fetchall()
    return int(count)


def test_a_batch_is_notified_once_with_the_new_head_and_an_empty_one_not_at_all(
    holder: Sequencer, dsn: str, writer: psycopg.Connection
) -> None:
    with psycopg.connect(dsn, autocommit=True) as listener:
        listener.execute("LISTEN keyledger_positions")
        append_new(writer, 10)
        holder.step(limit=6)
        holder.step(limit=6)
        holder.step(limit=6)
        assert holder._head is not None
        holder._give(holder._head, 6, floor=0, seconds=None)
        writer.execute("NOTIFY keyledger_positions, 'end'")

        heard = [notice.payload for notice in listener.notifies(timeout=10.0, stop_after=3)]

    assert heard == ["6", "10", "end"]


def test_an_entry_whose_event_is_gone_stands_in_nobodys_way(
    holder: Sequencer, writer: psycopg.Connection, order: Callable[[], list[UUID]]
) -> None:
    gone, kept = append_new(writer), append_new(writer)
    writer.execute("SET session_replication_role = replica")  # as a restore to an earlier moment would do
    writer.execute("DELETE FROM keyledger.events WHERE originator_id = %s", gone)

    assert [holder.step(limit=1) for _ in range(2)] == [0, 1]
    assert order() == kept


def test_catching_up_with_no_holder_positions_everything_and_takes_no_role(
    sequencer: Sequencer, dsn: str, writer: psycopg.Connection
) -> None:
    append_new(writer, 5)

    assert sequencer.catch_up() == positioned(dsn) == 5
    assert not sequencer.holds_role
    assert row(writer)[1:] == (0, None)
    assert sequencer.catch_up() == 5


def test_catching_up_waits_for_no_holder_that_rests_and_leaves_it_the_role(
    database: Database, sequencer: Sequencer, dsn: str, writer: psycopg.Connection
) -> None:
    resting = Sequencer(database, lease_seconds=HOUR)
    resting.claim()
    append_new(writer, 5)
    before = writer.execute("SELECT epoch, holder, held_until FROM keyledger.sequencer").fetchall()

    assert sequencer.catch_up() == positioned(dsn) == 5
    assert writer.execute("SELECT epoch, holder, held_until FROM keyledger.sequencer").fetchall() == before


def test_catching_up_includes_what_was_committed_before_and_waits_for_nothing_that_is_not(
    sequencer: Sequencer, dsn: str, writer: psycopg.Connection
) -> None:
    with psycopg.connect(dsn) as open_ended:
        append_new(open_ended)
        append_new(writer, 3)

        assert sequencer.catch_up() == 3


def test_many_that_catch_up_at_once_give_each_event_one_position(
    database: Database, dsn: str, writer: psycopg.Connection
) -> None:
    append_new(writer, 5000)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: Sequencer(database).catch_up(), range(8)))

    assert set(found) == {5000}
    assert positioned(dsn) == 5000


def test_the_versions_of_a_stream_keep_their_order_across_batches(
    holder: Sequencer, dsn: str, writer: psycopg.Connection
) -> None:
    (stream,) = append_new(writer)
    for version in range(2, 12):
        append(writer, (stream, version))

    assert [holder.step(limit=3) for _ in range(4)] == [3, 3, 3, 2]
    assert positioned(dsn) == 11


class TestFloor:
    """Polls and batches begin at an arrival below which nothing can come any more."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time that the floor knows, in one element."""
        now = [1000.0]
        monkeypatch.setattr("keyledger.infrastructure.following.outbox_floor.time.monotonic", lambda: now[0])
        return now

    def give(self, holder: Sequencer, clock: list[float], writer: psycopg.Connection) -> int:
        """Append an event, give it its position, let a second pass; returns the floor."""
        append_new(writer)
        assert holder.step() == 1
        clock[0] += 1.0
        return holder._floor.arrival

    def test_it_follows_what_was_given_when_nobody_writes(
        self, clock: list[float], holder: Sequencer, writer: psycopg.Connection
    ) -> None:
        floors = [self.give(holder, clock, writer) for _ in range(6)]

        assert all(later > earlier for earlier, later in pairwise(floors[2:]))
        assert floors[-1] > 0

    def test_it_waits_for_a_transaction_that_may_come_behind_it(
        self, clock: list[float], holder: Sequencer, dsn: str, writer: psycopg.Connection
    ) -> None:
        self.give(holder, clock, writer)
        with psycopg.connect(dsn) as slow:
            (late,) = append_new(slow)
            floors = [self.give(holder, clock, writer) for _ in range(6)]
            slow.commit()
        append(writer, (late, 2))

        assert len(set(floors[3:])) == 1
        assert holder.step() == 2
        assert_sequenced(writer)
        assert self.give(holder, clock, writer) > floors[-1] or self.give(holder, clock, writer) > floors[-1]

    def test_it_does_not_wait_for_a_long_transaction_that_writes_elsewhere(
        self, clock: list[float], holder: Sequencer, dsn: str, writer: psycopg.Connection
    ) -> None:
        with psycopg.connect(dsn) as long:
            long.execute("INSERT INTO keyledger.flushes VALUES (gen_random_uuid())")
            long.execute("SELECT * FROM keyledger.outbox")
            floors = [self.give(holder, clock, writer) for _ in range(6)]

        assert floors[-1] > floors[2]

    def test_it_is_not_raised_above_what_still_waits(
        self, clock: list[float], holder: Sequencer, dsn: str, writer: psycopg.Connection
    ) -> None:
        with psycopg.connect(dsn) as slow:
            append_new(slow)
            for _ in range(4):
                self.give(holder, clock, writer)
            slow.commit()
        clock[0] += 1.0

        assert holder.step() == 1
        assert_sequenced(writer)

    def test_it_begins_anew_with_the_role_and_once_a_minute(
        self, clock: list[float], holder: Sequencer, writer: psycopg.Connection
    ) -> None:
        for _ in range(6):
            self.give(holder, clock, writer)
        assert holder._floor.arrival > 0
        clock[0] += 60.0
        holder.step()
        assert holder._floor.arrival == 0

        for _ in range(6):
            self.give(holder, clock, writer)
        assert holder._floor.arrival > 0
        holder.release()
        holder.claim()
        assert holder._floor.arrival == 0
