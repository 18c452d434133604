"""A process forks while its ledger is open."""

from collections.abc import Callable

from faults.private_server import PrivateServer
from support.invariants import accepted_uses, assert_consistent
from support.program import Program

OPEN = """
settings = Settings(flush_interval_seconds=3600.0, database_timeout_seconds=20.0)
ledger = KeyLedger.open(dsn, data_dir=data_dir, settings=settings)
def backend():
    return ledger._database.run(lambda connection: connection.info.backend_pid)
def lives(pid):
    query = "SELECT FROM pg_stat_activity WHERE pid = %s"
    return ledger._database.run(lambda connection: connection.execute(query, [pid]).rowcount) == 1
key = ledger.api_keys.create(name="of the parent", subject="org_1")
secret = key.secret
assert ledger.verify(secret, use=Use(request_id="before the fork")).valid
"""
FORK = """
parents = backend()
child = os.fork()
if child == 0:
    status = 1
    try:
        assert ledger.verify(secret, use=Use(request_id="of the child")).valid
        mine = ledger.api_keys.create(name="of the child", subject="org_1")
        say([parents, backend(), mine.id])
        ledger.close()
        status = 0
    finally:
        os._exit(status)
assert ledger.verify(secret, use=Use(request_id="of the parent")).valid
assert os.waitpid(child, 0)[1] == 0
assert lives(parents)
assert ledger.verify(secret, use=Use(request_id="after the child")).valid
say(ledger.api_keys.create(name="of the parent", subject="org_1").id)
ledger.close()
"""
MEMORY = """
def identity():
    return [memory._feed._feed.verifier.hex, memory._feed._link._connection.info.backend_pid]
memory = ledger._memory
parents = identity()
assert memory.lease.holds and len(memory.cache) == 1
ready, childs = os.pipe()
revoked, bell = os.pipe()
child = os.fork()
if child == 0:
    status = 1
    try:
        assert not memory.lease.holds and len(memory.cache) == 0
        assert ledger.verify(secret).valid and ledger.verify(secret).valid
        assert memory.lease.holds and memory.hits == 1
        os.write(childs, json.dumps(identity()).encode())
        os.read(revoked, 1)
        assert ledger.verify(secret).code == "revoked"
        ledger.close()
        status = 0
    finally:
        os._exit(status)
os.close(childs)
say([parents, json.loads(os.read(ready, 1000))])
ledger.api_keys.revoke(key.id, barrier=True)
os.write(bell, b"!")
assert os.waitpid(child, 0)[1] == 0
assert ledger.verify(secret).code == "revoked"
sent_at = memory.lease.sent_at
while memory.lease.sent_at == sent_at: time.sleep(0.01)
say(identity())
ledger.close()
"""
POOL = """
import multiprocessing
def work(number):
    assert ledger.verify(secret, use=Use(request_id=f"use {number}")).valid
    return [os.getpid(), backend(), ledger.api_keys.create(name="of a worker", subject="org_1").id]
with multiprocessing.get_context("fork").Pool(3) as pool:
    say(pool.map(work, range(30), chunksize=1))
    pool.close()
    pool.join()
say(backend())
"""
BUSY = """
import random
done = []
def verify(thread):
    while not done:
        request_id = f"{os.getpid()}-{thread}-{time.monotonic_ns()}"
        assert ledger.verify(secret, use=Use(request_id=request_id)).valid
        accepted.append(request_id)
        if random.random() < 0.2: ledger._recorder.flush()
accepted = ["before the fork"]
threads = [threading.Thread(target=verify, args=(number,)) for number in range(3)]
for thread in threads: thread.start()
children = []
for _ in range(8):
    time.sleep(0.02)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            accepted.clear()
            for number in range(20):
                request_id = f"{os.getpid()}-{number}"
                assert ledger.verify(secret, use=Use(request_id=request_id)).valid
                accepted.append(request_id)
            ledger.close()
            say(accepted)
            status = 0
        finally:
            os._exit(status)
    children.append(child)
for child in children: assert os.waitpid(child, 0)[1] == 0
done.append(True)
for thread in threads: thread.join()
ledger.close()
say(accepted)
"""
ALL_USES = dict.fromkeys(["before the fork", "of the child", "of the parent", "after the child"], 1)


def test_a_forked_child_has_connections_of_its_own_and_no_use_is_lost_or_doubled(
    dsn: str, start: Callable[..., Program]
) -> None:
    program = start(OPEN + FORK, dsn=dsn, data_dir=None)

    parents, childs, made_by_child = program.says()
    made_by_parent = program.says()

    assert parents != childs
    assert program.finish() == 0
    assert made_by_child != made_by_parent
    assert accepted_uses(dsn) == ALL_USES
    assert_consistent(dsn)


def test_a_forked_child_of_an_embedded_ledger_leaves_the_server_to_its_parent(
    private_server: PrivateServer, start: Callable[..., Program]
) -> None:
    program = start(OPEN + FORK, dsn=None, data_dir=str(private_server.data_dir))

    parents, childs, _ = program.says()

    assert parents != childs
    assert program.says()
    assert program.finish() == 0
    assert accepted_uses(private_server.lease.conninfo).items() >= ALL_USES.items()
    assert_consistent(private_server.lease.conninfo)


def test_a_forked_child_shares_neither_the_lease_nor_the_memory_nor_the_feed_of_its_parent(
    dsn: str, start: Callable[..., Program]
) -> None:
    program = start(OPEN + MEMORY, dsn=dsn, data_dir=None)

    (parent, session), (child, other) = program.says()

    assert parent != child
    assert session != other
    assert program.says() == [parent, session]
    assert program.finish() == 0


def test_a_pool_of_forked_workers_uses_the_ledger_of_its_parent(dsn: str, start: Callable[..., Program]) -> None:
    program = start(OPEN + POOL, dsn=dsn, data_dir=None)

    answers = program.says()
    parents = program.says()

    assert program.finish() == 0
    owners = {(backend, process) for process, backend, _ in answers}
    backends = [backend for backend, _ in owners]
    assert len(backends) == len(set(backends)), "two workers share a connection"
    assert parents not in backends
    assert len({key_id for _, _, key_id in answers}) == 30
    assert accepted_uses(dsn) == {"before the fork": 1, **{f"use {number}": 1 for number in range(30)}}
    assert_consistent(dsn)


def test_forks_in_mid_traffic_neither_hang_nor_lose_a_use(dsn: str, start: Callable[..., Program]) -> None:
    program = start(OPEN + BUSY, dsn=dsn, data_dir=None)

    accepted = [request_id for _ in range(9) for request_id in program.says()]

    assert program.finish() == 0
    assert accepted_uses(dsn) == dict.fromkeys(accepted, 1)
    assert_consistent(dsn)
