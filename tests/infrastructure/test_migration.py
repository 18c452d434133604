"""A ledger that was in use at an older version of the schema goes on at the newest, with nothing lost."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from support.invariants import assert_consistent
from support.streams import KEY, created

from keyledger import Actor, APIKey, KeyLedger, RebuildProgress, SchemaOutOfDate, Settings, Use
from keyledger.domain.digest import Peppers
from keyledger.domain.ids import key_id_text, parse_key_id
from keyledger.domain.microseconds import microseconds
from keyledger.infrastructure import read_models, schema
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.read_models.usage import UsageModel

RELEASED = 14
STATEMENTS = Path(__file__).parent / f"schema_{RELEASED}"
ALONE = Settings(flush_interval_seconds=3600.0, background_worker=False)
UNCACHED = Settings(flush_interval_seconds=3600.0, background_worker=False, cache_entries=0)
"""At version 14 there is nothing yet that a memory could be kept up to date by."""

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class OldLedger:
    """A ledger as version 14 of the schema knew it, whose clock the test sets."""

    def __init__(self, database: Database, then: pytest.MonkeyPatch) -> None:
        self.ledger = KeyLedger(database, Peppers({}), UNCACHED, None)
        self._then = then
        self._now = NOON
        self.ledger._recorder._clock_ns = lambda: microseconds(self._now) * 1_000

    def end(self) -> None:
        """Close it; statements are today's from here on."""
        self.ledger.close()
        self._then.undo()

    def use(self, key: APIKey, seconds: float) -> None:
        """Verify the key at so many seconds past noon, in a flush of its own."""
        self._now = NOON + timedelta(seconds=seconds)
        self.ledger.verify(str(key.secret), use=Use(ip_address=f"192.0.2.{int(seconds) % 250}"))
        self.ledger._recorder.flush()


@pytest.fixture
def old(empty_dsn: str) -> Iterator[OldLedger]:
    """A ledger at version 14, whose statements are those of that time until it is moved."""
    with closing(Database(empty_dsn)) as database, pytest.MonkeyPatch.context() as then:
        database.run(lambda connection: _migrate_to(connection, RELEASED))
        for file in STATEMENTS.glob("*.sql"):
            then.setitem(QUERIES, file.stem, file.read_text("utf-8"))
        yield OldLedger(database, then)


def _migrate_to(connection: psycopg.Connection, version: int) -> None:
    released = schema.MIGRATIONS[:version]
    for _, statement in released:
        connection.execute(statement.encode())
    for number, (name, _) in enumerate(released, start=1):
        connection.execute("INSERT INTO keyledger.migrations (version, name) VALUES (%s, %s)", (number, name))


def filled(old: OldLedger) -> list[APIKey]:
    """Keys with every kind of event, some of them late, and one with none but its creation."""
    keys = old.ledger.api_keys
    made = [keys.create(name=f"Key {number}", subject=f"org_{number % 2}", scopes=["a"]) for number in range(4)]
    for seconds in (10, 100, 20, 130):
        old.use(made[0], seconds)
    keys.update(made[0].id, subject="org_9")
    keys.update(made[0].id, description="moved")
    old.use(made[0], 90_000)
    old.use(made[1], 5)
    keys.revoke(made[1].id, revocation_reason="leaked")
    old.use(made[1], 6)  # refused
    old.use(keys.create(name="Twin", subject="org_1"), 7)
    return made


@pytest.fixture
def moved(old: OldLedger, empty_dsn: str) -> Callable[[], KeyLedger]:
    """Has the ledger opened by the keyledger of today."""

    def move() -> KeyLedger:
        old.end()
        return KeyLedger.open(empty_dsn, settings=ALONE, migrate=True)

    return move


def test_its_events_get_positions_and_what_replay_and_the_read_models_need(
    old: OldLedger, moved: Callable[[], KeyLedger], empty_dsn: str
) -> None:
    filled(old)

    with moved() as ledger:
        assert ledger.status().projections[0].lag_events == 0
        assert_consistent(empty_dsn)
        assert ledger.replay.verify_projections().ok


def test_its_keys_are_as_they_were_and_work(
    old: OldLedger, moved: Callable[[], KeyLedger], empty_dsn: str
) -> None:
    before = filled(old)
    shown = [old.ledger.api_keys.get(key.id) for key in before]

    with moved() as ledger:
        assert [ledger.api_keys.get(key.id) for key in before] == shown
        assert ledger.verify(str(before[0].secret)).valid
        assert ledger.verify(str(before[1].secret)).code == "revoked"
        ledger.api_keys.update(before[2].id, subject="org_7")
        ledger._recorder.flush()
        ledger.catch_up()
        assert_consistent(empty_dsn)
        assert ledger.replay.verify_projections().ok


def test_how_late_its_uses_came_is_known(old: OldLedger, moved: Callable[[], KeyLedger], empty_dsn: str) -> None:
    key = filled(old)[0]
    query = """
        SELECT topic, extract(epoch FROM lateness)::float8 FROM keyledger.events
        WHERE originator_id = %s ORDER BY originator_version
    """

    with moved(), psycopg.connect(empty_dsn) as connection:
        found = connection.execute(query, [parse_key_id(key.id)]).fetchall()

    assert found[0] == ("KeyCreated", None)
    assert [lateness for _, lateness in found[1:]] == [0, 0, 80, 80, 80, 80, 80]


def test_its_past_is_reconstructed(old: OldLedger, moved: Callable[[], KeyLedger]) -> None:
    shown = [old.ledger.api_keys.get(key.id) for key in filled(old)]

    with moved() as ledger:
        past = {key.id: key for key in ledger.replay.keys_as_of(datetime.now(UTC), include_invalid=True)}
        moved_away = list(ledger.replay.keys_as_of(datetime.now(UTC), subject="org_9"))

    assert [past[key.id] for key in shown] == shown
    assert len(past) == len(shown) + 1
    assert [key.description for key in moved_away] == ["moved"]


def test_what_expired_before_it_was_moved_is_found(old: OldLedger, moved: Callable[[], KeyLedger]) -> None:
    keys = old.ledger.api_keys
    kept = keys.create(name="kept", subject="org_1")
    short = keys.create(name="short", subject="org_1", seconds_until_expiration=0.3)
    keys.update(kept.id, seconds_until_expiration=0.3)
    created = datetime.now(UTC)
    expired = max(keys.get(key.id).expiration or created for key in (kept, short))

    with moved() as ledger:
        changes = list(ledger.replay.diff(created, max(datetime.now(UTC), expired)))

    assert {change.api_key_id for change in changes} == {kept.id, short.id}


def test_an_empty_one_is_brought_up_to_date_too(moved: Callable[[], KeyLedger], empty_dsn: str) -> None:
    with moved() as ledger:
        ledger.api_keys.create(name="first", subject="org_1")
        ledger.catch_up()
        assert_consistent(empty_dsn)


def test_its_events_are_insert_only_still(old: OldLedger, moved: Callable[[], KeyLedger], empty_dsn: str) -> None:
    filled(old)
    moved().close()

    with psycopg.connect(empty_dsn) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE keyledger.events SET subject = 'org_x'")


def test_migrating_tells_how_far_the_read_models_have_come(
    old: OldLedger, moved: Callable[[], KeyLedger], empty_dsn: str
) -> None:
    filled(old)
    told: list[RebuildProgress] = []

    with closing(Database(empty_dsn)) as database:
        schema.migrate(database, told.append)

    assert {each.projection for each in told} == {model.name for model in read_models.READ_MODELS}
    assert all(each.position == each.head > 0 for each in told)


UNKNOWN_CREDENTIALS = 61
"""The last version at which the history did not know with which credential something was done."""

HISTORY_AT_61 = (
    """
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state, recorded_at, subject)
    VALUES (%(key)s, 1, 'KeyCreated', %(state)s, %(at)s, 'org_1')
    """,
    "INSERT INTO keyledger.positions VALUES (1, %(key)s, 1, 'KeyCreated', 'org_1', %(at)s)",
    "UPDATE keyledger.sequencer SET position = 1",
    "INSERT INTO keyledger.projections (name, version, position) VALUES ('history', 1, 1)",
    """
    INSERT INTO keyledger.history
    VALUES (1, %(key)s, 1, 'KeyCreated', 'org_1', NULL, NULL, NULL, NULL, %(at)s, %(at)s, %(at)s, false, 1, false)
    """,
)
CREDENTIAL = "ak_01a208f6d6287113baedf4f2bbe2bd48"


@pytest.fixture
def before_credentials(empty_dsn: str) -> str:
    """A database whose history has what a service created, and not with which credential."""
    event = created(actor=Actor(credential_id=CREDENTIAL))
    values = {"key": KEY, "state": EventCodec().encode(event), "at": event.occurred_at}
    with psycopg.connect(empty_dsn) as connection:
        _migrate_to(connection, UNKNOWN_CREDENTIALS)
        for statement in HISTORY_AT_61:
            connection.execute(statement.encode(), values)
    return empty_dsn


def test_what_was_done_before_the_history_knew_credentials_is_found_by_them(before_credentials: str) -> None:
    with KeyLedger.open(before_credentials, settings=ALONE, migrate=True) as ledger:
        (entry,) = ledger.audit.history(credential_id=CREDENTIAL).entries
        verified = {each.name: each.differing for each in ledger.replay.verify_projections().projections}

    assert (entry.api_key_id, entry.event_type) == (key_id_text(KEY), "KeyCreated")
    assert verified["history"] == 0


def test_a_history_that_does_not_know_credentials_yet_is_not_searched(before_credentials: str) -> None:
    with closing(Database(before_credentials)) as database:
        database.run(schema._migrate)  # as by a migration that ended before the rebuild
    with pytest.raises(SchemaOutOfDate, match=r"'history' is at version 1 of \d+: run `keyledger migrate`"):
        KeyLedger.open(before_credentials, settings=ALONE)


class NewerUsage(UsageModel):
    """The usage read model as a later version of keyledger may make it."""

    version = 2


@pytest.fixture
def newer(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, NewerUsage]]:
    """A database whose usage read model is older than this keyledger's."""
    model = NewerUsage()
    others = [each for each in read_models.READ_MODELS if each.name != model.name]
    for module in ("read_model_versions.READ_MODELS", "read_models.READ_MODELS"):
        monkeypatch.setattr(f"keyledger.infrastructure.{module}", (model, *others))
    yield dsn, model
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE keyledger.projections SET version = 1 WHERE name = 'usage'")
        connection.execute("DELETE FROM keyledger.rebuilds")


def test_a_read_model_of_an_older_version_is_not_rebuilt_in_silence(newer: tuple[str, NewerUsage]) -> None:
    with pytest.raises(SchemaOutOfDate, match="'usage' is at version 1 of 2: run `keyledger migrate`"):
        KeyLedger.open(newer[0])


def test_migrating_rebuilds_a_read_model_of_an_older_version(
    ledger: KeyLedger, newer: tuple[str, NewerUsage]
) -> None:
    key = ledger.api_keys.create(name="used", subject="org_1")
    ledger.verify(str(key.secret))
    ledger._recorder.flush()
    ledger.catch_up()

    with closing(Database(newer[0])) as database:
        assert schema.migrate(database) == []
        (row,) = database.run(
            lambda connection: connection.execute(
                "SELECT version, position FROM keyledger.projections WHERE name = 'usage'"
            ).fetchall()
        )

    assert row == (2, ledger.status().sequencer.position)
    assert ledger.api_keys.get(key.id).last_used_at is not None
