"""What a million keys in memory cost."""

from collections.abc import Callable

import pytest
from support.program import Program

KEYS = 1_000_000

FILL = """
import gc, hashlib, pathlib
from datetime import UTC, datetime
from keyledger.verifying.cached_key import pack
from keyledger.domain.ids import new_uuid
from keyledger.domain.secret import digits_of_id
from keyledger.infrastructure.key_view import KeyView
from keyledger.infrastructure.verifying.key_cache import KeyCache

def kilobytes():
    lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

def view(number, key_id):
    user, now = f"user_{number:08}", datetime.now(UTC)
    return KeyView(
        id=key_id, type="api_key", name=f"deploys of {user}", subject=user, description=None,
        claims=None, scopes=("repo:read", "repo:write"), created_at=now, created_by=user, updated_at=now,
        expiration=None, expired=False, last_used_at=None, revoked_at=None, revocation_reason=None,
    )

def keep(number):
    key_id = new_uuid()
    fill = cache.fill(digits_of_id(key_id.bytes))
    cache.store(fill, pack(hashlib.sha256(key_id.bytes).digest(), view(number, key_id), "valid"))
    cache.finish(fill)

cache = KeyCache(keys)
cache.open("a server")
keep(0)
gc.collect()
before, tracked = kilobytes(), len(gc.get_objects())
for number in range(keys):
    keep(number)
    if number % 50_000 == 0: say(number)
gc.collect()
assert len(cache) == keys
say([(kilobytes() - before) * 1024 / 1_000_000, len(gc.get_objects()) - tracked])
"""


@pytest.mark.slow
def test_a_million_keys_take_at_most_400_megabytes_and_are_nothing_to_the_garbage_collector(
    start: Callable[..., Program],
) -> None:
    program = start(FILL, keys=KEYS)
    while isinstance(found := program.says(), int):
        pass
    megabytes, tracked = found
    assert megabytes <= 400
    assert tracked < 1_000


STRANGERS = """
import gc, pathlib
from keyledger.domain.digest import Peppers
from keyledger.domain.ids import new_uuids
from keyledger.domain.secret import digits_of_id
from keyledger.verifying.cached_key import stand_in
from keyledger.infrastructure.verifying.key_cache import KeyCache, Refusing

def kilobytes():
    lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

cache, nobodys, ids = KeyCache(100_000), Peppers({}).nobodys(), new_uuids()
cache.open("a server")
before = 0
for number in range(strangers):
    if number == 50_000:
        before = kilobytes()
    key_id = next(ids)
    fill = cache.fill(digits_of_id(key_id.bytes))
    cache.store_refusing(fill, Refusing(digits=fill.digits, digest=nobodys, stand_in=stand_in(key_id)))
    cache.finish(fill)
    if number % 50_000 == 0: say(number)
say([(kilobytes() - before) * 1024 / 1_000_000, len(cache)])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "strangers", [pytest.param(300_000, id="few"), pytest.param(10_000_000, id="ten million")]
)
def test_ids_of_no_key_take_no_more_memory_however_many_are_tried(
    start: Callable[..., Program], strangers: int
) -> None:
    program = start(STRANGERS, strangers=strangers)
    while isinstance(found := program.says(), int):
        pass
    megabytes, kept = found
    assert megabytes < 5
    assert kept <= 10_000
