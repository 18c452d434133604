"""A service is killed, kill -9, while it verifies: what becomes of the uses it answered for, at each level."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from support.invariants import accepted_uses, assert_consistent, lost_uses, streams
from support.program import Program
from support.waiting import eventually

from keyledger import KeyLedger, Settings
from keyledger.domain.events import KeyUsed
from keyledger.domain.ids import parse_key_id

# One process, forked anew for each kill: two threads verify a key of its own, and count in a file around that.
# However slow the machine: every tenth child is killed at any moment, every third once a use of it is stored, the
# others once they answer.
SERVICE = """
import mmap, random
import psycopg
from keyledger.domain.secret import parse
count = len(secrets)
file = os.open(counts, os.O_RDWR)
counted = memoryview(mmap.mmap(file, count * 32)).cast("Q")
settings = Settings(
    durability=durability, spool_dir=spool_dir, flush_interval_seconds=0.005,
    background_worker=False, max_connections=4,
)
ledger = KeyLedger.open(dsn, settings=settings)
def live(child, thread):
    place, number = child * 4 + thread * 2, 0
    while True:
        number += 1
        counted[place] = number
        assert ledger.verify(secrets[child], use=Use(request_id=f"{child}-{thread}-{number}")).valid
        counted[place + 1] = number
def stored(child):
    with psycopg.connect(dsn) as connection:
        query = "SELECT EXISTS (SELECT FROM keyledger.events WHERE originator_id = %s AND originator_version > 1)"
        return connection.execute(query, [parse(secrets[child])]).fetchone()[0]
for child in range(count):
    process = os.fork()
    if process == 0:
        for thread in range(2): threading.Thread(target=live, args=(child, thread)).start()
        time.sleep(60)
    while child % 10 and not counted[child * 4 + 1] or child % 3 == 1 and not stored(child):
        time.sleep(0.001)
    time.sleep(random.uniform(0.0, 0.1))
    os.kill(process, 9)
    os.waitpid(process, 0)
say("done")
os._exit(0)
"""
KILLS = [12, pytest.param(1_000, marks=pytest.mark.slow)]


class Answers:
    """What each thread of each child began, and was answered."""

    def __init__(self, path: Path, children: int) -> None:
        self.path = path
        path.write_bytes(bytes(32 * children))

    def __iter__(self) -> Iterator[tuple[int, int, int, int]]:
        """Child, thread, verifications that were begun, and of those the ones that were answered."""
        for place, (begun, answered) in enumerate(struct.iter_unpack("QQ", self.path.read_bytes())):
            yield place // 2, place % 2, begun, answered


def folders(spool_dir: Path) -> list[Path]:
    """What processes have left, or have still."""
    return [lock.parent for lock in spool_dir.glob("*/*/lock") if not lock.parent.name.startswith(".")]


@pytest.fixture
def kill(
    dsn: str, tmp_path: Path, start: Callable[..., Program]
) -> Callable[[str, int], tuple[list[str], Answers]]:
    """Has a service killed so often, and what it left taken over; returns the keys' ids and the answers."""

    def killed(durability: str, kills: int) -> tuple[list[str], Answers]:
        answers, spool_dir = Answers(tmp_path / "counts", kills), tmp_path / "spool"
        with KeyLedger.open(dsn) as ledger:
            keys = [ledger.api_keys.create(name=f"key {number}", subject="org_1") for number in range(kills)]
        secrets = [key.secret for key in keys]
        given = {"durability": durability, "spool_dir": str(spool_dir), "counts": str(answers.path)}
        program = start(SERVICE, dsn=dsn, secrets=secrets, **given)
        assert program.says(seconds=60 + kills) == "done"
        with KeyLedger.open(dsn, settings=Settings(spool_dir=spool_dir)):
            eventually(lambda: not folders(spool_dir), seconds=60 + kills)
        return [key.id for key in keys], answers

    return killed


@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize("durability", ["spooled", "audit_required"])
def test_no_use_that_was_answered_for_is_lost_and_none_is_stored_twice(
    durability: str, kills: int, dsn: str, kill: Callable[[str, int], tuple[list[str], Answers]]
) -> None:
    _, answers = kill(durability, kills)

    stored = accepted_uses(dsn)
    assert set(stored.values()) == {1}
    for child, thread, begun, answered in answers:
        numbers = {f"{child}-{thread}-{number}" for number in range(1, begun + 1)}
        found = numbers & stored.keys()
        assert len(found) >= answered
        assert f"{child}-{thread}-{begun + 1}" not in stored
    assert sum(answered for *_, answered in answers) > kills / 2
    assert not lost_uses(dsn)
    assert_consistent(dsn)


@pytest.mark.parametrize("kills", KILLS)
def test_a_buffered_ledger_states_exactly_how_many_uses_of_which_key_it_lost(
    kills: int, dsn: str, kill: Callable[[str, int], tuple[list[str], Answers]]
) -> None:
    keys, answers = kill("buffered", kills)

    stored, lost = stored_by_key(dsn), lost_uses(dsn)
    begun: Counter[int] = Counter()
    answered: Counter[int] = Counter()
    for child, _, number_begun, number_answered in answers:
        begun[child] += number_begun
        answered[child] += number_answered
    for child, key_id in enumerate(keys):
        stated = stored[parse_key_id(key_id)] + lost[key_id, "crash"]
        assert answered[child] <= stated <= begun[child] <= answered[child] + 2, (
            "one may be on its way in a thread"
        )
    assert set(accepted_uses(dsn).values()) == {1}
    assert lost.total() > 0
    assert_consistent(dsn)


def stored_by_key(dsn: str) -> Counter[UUID]:
    found: Counter[UUID] = Counter()
    with psycopg.connect(dsn) as connection:
        for key_id, stream in streams(connection).items():
            found[key_id] = sum(
                len(stored.event.columns) for stored in stream if isinstance(stored.event, KeyUsed)
            )
    return found
