"""`verify` from memory, with its use recorded, against a floor written by hand; and where PostgreSQL is asked."""

import gc
import hashlib
import random
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from statistics import median
from uuid import UUID

import psycopg

from keyledger import KeyLedger, Settings, Use
from keyledger.domain.ids import new_uuid
from keyledger.domain.secret import ID, LENGTH, generate, parse
from keyledger.infrastructure.key_view import KeyView
from keyledger.verifying.attempt import Attempt
from keyledger.verifying.cached_key import pack
from scripts.benchmarks import plain, report
from scripts.benchmarks.measure import latencies
from scripts.benchmarks.scale import Scale

BATCH = 1_000
BATCHES = 150
COLD_KEYS = 500
USE = Use(ip_address="192.0.2.7", user_agent="benchmark/1", method="GET", path="/v1/things", request_id="req_1")

STREAMS = """
INSERT INTO keyledger.events (originator_id, originator_version, topic, state, subject)
SELECT id, 1, topic, state, subject
FROM unnest(%s::uuid[]) AS id, (SELECT topic, state, subject FROM keyledger.events LIMIT 1) AS one
"""


class Floor:
    """What any verification in Python has to do: SHA-256, a dict, expiry, and the use noted. Nothing is proven."""

    def __init__(self) -> None:
        self._keys: dict[bytes, tuple[float, UUID]] = {}
        self._uses: deque[tuple[UUID, float, Use]] = deque(maxlen=100_000)

    def add(self, secret: str, key_id: UUID) -> None:
        """Have a key in memory."""
        self._keys[hashlib.sha256(secret.encode()).digest()] = (inf, key_id)

    def verify(self, secret: str, use: Use) -> bool:
        """Whether the secret is a key's."""
        found = self._keys.get(hashlib.sha256(secret.encode()).digest())
        if found is None:
            parse(secret)
            return False
        now = time.time()
        if found[0] <= now:
            return False
        self._uses.append((found[1], now, use))
        return True


def run(dsn: str, scale: Scale) -> None:
    """Measure one key, then as many as the cache is to hold, their memory, and keys that it does not know."""
    settings = Settings(cache_entries=scale.cached_keys + 10, background_worker=False)
    with KeyLedger.open(dsn, settings=settings) as ledger:
        floor, secret = Floor(), _created(ledger)
        ledger.catch_up()  # as a worker would: what has no position yet is asked for again and again
        assert ledger.verify(secret).valid
        floor.add(secret, new_uuid())
        _compare("hot: one key", ledger, floor, lambda _: secret, most=3)
        secrets = _fill(dsn, ledger, scale.cached_keys)
        for start in range(0, len(secrets), LENGTH):
            text = secrets[start : start + LENGTH]
            floor.add(text, new_uuid())
        places = random.Random(1).choices(range(scale.cached_keys), k=(BATCHES + 20) * BATCH)
        _compare(
            f"uniform: over {scale.cached_keys:,} keys in memory",
            ledger,
            floor,
            lambda number: secrets[LENGTH * places[number] : LENGTH * (places[number] + 1)],
            most=3,
        )
    _cold(dsn, scale)


def _compare(title: str, ledger: KeyLedger, floor: Floor, secret: Callable[[int], str], *, most: float) -> None:
    def by_floor(batch: int) -> None:
        for number in range(batch * BATCH, (batch + 1) * BATCH):
            assert floor.verify(secret(number), USE)

    def by_ledger(batch: int) -> None:
        verify = ledger.verify
        for number in range(batch * BATCH, (batch + 1) * BATCH):
            assert verify(secret(number), use=USE).valid

    figures = latencies({"the floor": by_floor, "verify": by_ledger}, BATCHES)
    report.latency(f"{title}; times are of {BATCH:,} calls", figures, most={"verify": most})


def _fill(dsn: str, ledger: KeyLedger, count: int) -> str:
    """Put keys into memory of which PostgreSQL has a first event only, and return their secrets in one text."""
    cache, digest = ledger._memory.cache, ledger._verifier._digest  # type: ignore[attr-defined]  # noqa: SLF001
    ids = [new_uuid() for _ in range(count)]
    with psycopg.connect(dsn, autocommit=True) as connection:
        for start in range(0, count, 10_000):
            connection.execute(STREAMS, (ids[start : start + 10_000],))
    secrets = "".join(map(generate, ids))
    pause_before = _pause_ms()
    before = _kilobytes()
    for number, key_id in enumerate(ids):
        text = secrets[LENGTH * number : LENGTH * (number + 1)]
        fill = cache.fill(text[ID])
        cache.store(fill, pack(digest(Attempt(key_id, text, (), USE)), _view(number, key_id), "valid"))
        cache.finish(fill)
    megabytes = (_kilobytes() - before) * 1.024 / 1_000
    del ids
    pause = _pause_ms()
    report.note(
        f"\n{count:,} keys in memory: {megabytes:,.0f} MB (goal: 400 a million); a whole garbage collection takes"
        f" {pause:.1f} ms, and {pause_before:.1f} ms without them (goal: at most 20 more)"
    )
    return secrets


def _cold(dsn: str, scale: Scale) -> None:
    """With room for one key in memory, each of several is one that was forgotten."""
    settings = Settings(cache_entries=1, background_worker=False)
    with KeyLedger.open(dsn, settings=settings) as ledger, plain.callers(dsn, 1) as others:
        rows = others[0].insert_many(COLD_KEYS)
        secrets = [_created(ledger) for _ in range(COLD_KEYS)]

        def verify(number: int) -> None:
            assert ledger.verify(secrets[number % COLD_KEYS], use=USE).valid

        contenders = {"SELECT": lambda n: others[0].select(rows[n % COLD_KEYS]), "verify": verify}
        report.latency("cold: a key that is not in memory", latencies(contenders, scale.reads), most={"verify": 2})


def _created(ledger: KeyLedger) -> str:
    key = ledger.api_keys.create(name="benchmark", subject="org_benchmark", scopes=("read", "write"))
    return str(key.secret)


def _view(number: int, key_id: UUID) -> KeyView:
    user, now = f"user_{number:08}", datetime.now(UTC)
    return KeyView(
        id=key_id,
        type="api_key",
        name=f"deploys of {user}",
        subject=user,
        description=None,
        claims=None,
        scopes=("repo:read", "repo:write"),
        created_at=now,
        created_by=user,
        updated_at=now,
        expiration=None,
        revoked_at=None,
        revocation_reason=None,
        expired=False,
        last_used_at=None,
    )


def _pause_ms() -> float:
    """How long a whole garbage collection takes, the median of some."""
    found = []
    gc.collect()
    for _ in range(9):
        start = time.perf_counter()
        gc.collect()
        found.append((time.perf_counter() - start) * 1_000)
    return median(found)


def _kilobytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
