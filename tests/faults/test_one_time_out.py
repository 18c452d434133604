"""What must not add up or last for ever: the time-outs of one command's statements, a lock that a fork copied."""

import time
from collections.abc import Callable, Iterator

import pytest
from support.program import Program
from support.proxy import Proxy

from keyledger import APIKey, KeyLedger, LedgerUnavailable, Settings

TIMEOUT_SECONDS = 1.0
LATENCY_SECONDS = 0.6
# Without prepared statements each statement is one question.
SETTINGS = Settings(database_timeout_seconds=TIMEOUT_SECONDS, max_connections=2, prepared_statements=False)
FORK = """
import signal
from keyledger.domain import ids
held, forked = threading.Event(), threading.Event()
def hold():
    with ids._lock:
        held.set()
        forked.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(5)
    say(str(ids.new_uuid()))
    os._exit(0)
forked.set()
status = os.waitpid(child, 0)[1]
say(status)
"""


class SlowProxy(Proxy):
    """A network on which a question takes its time."""

    latency_seconds = 0.0

    def pass_question(self) -> None:
        """Hold it up."""
        time.sleep(self.latency_seconds)


@pytest.fixture
def slow(dsn: str) -> Iterator[SlowProxy]:
    """A network that is quick until it is told otherwise."""
    proxy = SlowProxy(dsn)
    yield proxy
    proxy.close()


@pytest.fixture
def distant(slow: SlowProxy) -> Iterator[KeyLedger]:
    """A ledger behind it."""
    with KeyLedger.open(slow.dsn, settings=SETTINGS) as ledger:
        yield ledger
        slow.latency_seconds = 0.0


@pytest.fixture
def key(distant: KeyLedger) -> APIKey:
    """A key of the ledger."""
    return distant.api_keys.create(name="one", subject="org_1")


def test_the_statements_of_an_update_share_one_time_out(slow: SlowProxy, distant: KeyLedger, key: APIKey) -> None:
    slow.latency_seconds = LATENCY_SECONDS  # enough for either statement, not for both

    with pytest.raises(LedgerUnavailable):
        distant.api_keys.update(key.id, description="new")


def test_the_statements_of_a_second_revoke_share_one_time_out(
    slow: SlowProxy, distant: KeyLedger, key: APIKey
) -> None:
    distant.api_keys.revoke(key.id)
    slow.latency_seconds = LATENCY_SECONDS

    with pytest.raises(LedgerUnavailable):
        distant.api_keys.revoke(key.id)


def test_a_child_that_was_forked_while_a_thread_made_an_id_makes_ids(start: Callable[..., Program]) -> None:
    program = start(FORK)

    assert isinstance(program.says(), str)
    assert program.says() == 0
    assert program.finish() == 0
