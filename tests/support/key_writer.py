"""Keys written by a clock of the test's own, and what a list of them must be, told by a naive query."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar, cast

from keyledger import Settings
from keyledger.api_keys import APIKeys
from keyledger.domain.digest import Peppers
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.key_store import KeyStore
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.projections.control import searchable
from keyledger.verifying.key_memory import KeyMemory

T = TypeVar("T")

SUBJECTS = ("org_1", "org_2")
NAMES = ("CI deploys", "nightly export", "100% sure", "a_b", "back\\slash", "你好世界", "مرحبا", "e\u0301cole")
_STEPS = [0, 0, 1, 1_000, 500_000, 3_600_000_000, -1, -7_200_000_000]
"""By how many microseconds the clock moves between two events: services' clocks are set back now and then."""

_LIVE = "(revoked_at IS NULL AND (expiration IS NULL OR expiration > statement_timestamp()))"
_PLAIN = f"""
WITH found AS (
    SELECT * FROM keyledger.api_keys
    WHERE subject = %(subject)s AND (%(include_invalid)s OR {_LIVE}) AND strpos(name_search, %(text)s) > 0
)
SELECT id, (SELECT count(*) FROM found) FROM found
ORDER BY created_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
"""What a list is to be, by the very clock that lists go by; slow, but plainly right."""


class Wanted(NamedTuple):
    """A page of a list that is asked for."""

    subject: str
    term: str
    offset: int
    limit: int
    include_invalid: bool


def plain(connection: DeadlineConnection, wanted: Wanted) -> tuple[list[str], int | None]:
    """The ids of the page by plain SQL, and how many keys match; None where the page is empty."""
    parameters = {**wanted._asdict(), "text": searchable(wanted.term)}
    rows = connection.execute(_PLAIN.encode(), parameters).fetchall()
    return [f"ak_{row[0].hex}" for row in rows], rows[0][1] if rows else None


class KeyWriter:
    """Keys written by a clock of the test's own, and read models that stand still until they are moved."""

    def __init__(self, dsn: str, chance: random.Random) -> None:
        self.database = Database(dsn)
        self.chance = chance
        self.now = datetime.now(UTC) - timedelta(days=400)
        self.api_keys = APIKeys(
            KeyStore(self.database, EventCodec(), lambda: None),
            KeyViews(self.database),
            Peppers({}),
            lambda: self.now,
            KeyMemory(self.database, Settings()).changes,
        )
        self.ids: list[str] = []

    def write(self) -> None:
        """Something that may happen to a key."""
        self.now += timedelta(microseconds=self.chance.choice(_STEPS))
        kind = self.chance.random()
        if kind < 0.55 or not self.ids:
            self.ids.append(
                self.api_keys.create(
                    name=self.chance.choice(NAMES),
                    subject=self._subject(),
                    seconds_until_expiration=self._expiry(),
                ).id
            )
            return
        if kind < 0.62:
            self.api_keys.delete(self.ids.pop(self.chance.randrange(len(self.ids))))
            return
        key = self.api_keys.get(self.chance.choice(self.ids))
        if kind < 0.75 or key.revoked:
            self.api_keys.revoke(key.id)
        elif kind < 0.9:
            self.api_keys.update(key.id, subject=self._subject())
        else:
            self.api_keys.update(key.id, seconds_until_expiration=self._expiry())

    def catch_up(self, steps: int | None = None) -> None:
        """Give positions and apply them to the read models: all, or only so many batches of a few."""
        sequencer = Sequencer(self.database)
        if steps is None:
            position = sequencer.catch_up()
            Runner(self.database, EventCodec(), READ_MODELS).catch_up(position, "listing")
            return
        assert sequencer.claim()
        for _ in range(steps):
            sequencer.step(self.chance.randint(1, 9))
        runner = Runner(self.database, EventCodec(), READ_MODELS)
        (model,) = (model for model in READ_MODELS if model.name == "listing")
        runner.step(model, self.chance.randint(0, sequencer.head))
        sequencer.release()

    def _subject(self) -> str:
        return self.chance.choice(SUBJECTS)

    def _expiry(self) -> float | None:
        """Never, a time that has passed since, one that is to come, and one that comes while the test runs."""
        soon = datetime.now(UTC) - self.now + timedelta(seconds=self.chance.uniform(0.01, 0.5))
        return self.chance.choice([None, None, None, 60.0, 3e7, 1e9, soon.total_seconds()])


class Seen:
    """A connection in the place of a Database, so that a view reads in its transaction; keeps the statements."""

    def __init__(self, connection: DeadlineConnection) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def run(self, work: Callable[[Any], T]) -> T:
        """What `work` returns, given this."""
        return work(self)

    def execute(self, statement: str, *arguments: Any, **options: Any) -> Any:
        """Run it, and keep its name."""
        self.statements.append(next(name for name, text in QUERIES.items() if text == statement))
        return self._connection.execute(statement, *arguments, **options)


def listed(connection: DeadlineConnection, wanted: Wanted) -> tuple[list[str], int, list[str]]:
    """The ids of the page as lists find them, how many keys match, and the statements that were asked in turn."""
    seen = Seen(connection)
    arguments = wanted._asdict()
    views, total = KeyViews(cast("Database", seen)).page(query=arguments.pop("term"), **arguments)
    return [f"ak_{view.id.hex}" for view in views], total, seen.statements
