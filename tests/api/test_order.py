"""The order of keys that were made at the same moment."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from psycopg.conninfo import make_conninfo

from keyledger import APIKey, Settings
from keyledger.api_keys import APIKeys
from keyledger.domain.digest import Peppers
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.key_store import KeyStore
from keyledger.infrastructure.key_view import KeyViews
from keyledger.verifying.key_memory import KeyMemory

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(params=["any", "sorted"])
def api_keys(request: pytest.FixtureRequest, dsn: str) -> Iterator[APIKeys]:
    """Keys with a clock that stands still; `sorted`: where no index gives the order by the way."""
    if request.param == "sorted":
        dsn = make_conninfo(dsn, options="-c enable_indexscan=off -c enable_bitmapscan=off")
    database = Database(dsn)
    memory, store = KeyMemory(database, Settings()), KeyStore(database, EventCodec(), lambda: None)
    yield APIKeys(store, KeyViews(database), Peppers({}), lambda: MOMENT, memory.changes)
    memory.close()
    database.close()


def pages(api_keys: APIKeys, number: int, size: int) -> list[APIKey]:
    listed = [
        api_keys.get_all(subject="user_1", initial_page=page, page_size=size) for page in range(1, number + 1)
    ]
    return [key for page in listed for key in page.data]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_keys_of_the_same_moment_come_by_their_ids_on_pages_that_neither_repeat_nor_skip(
    api_keys: APIKeys, size: int
) -> None:
    made = [api_keys.create(name=f"key {number}", subject="user_1") for number in range(10)]
    for place in (3, 7, 0):  # which moves their rows to the end of the table
        api_keys.update(made[place].id, description="moved")

    listed = pages(api_keys, -(-10 // size), size)

    assert {key.created_at for key in listed} == {MOMENT}
    assert [key.id for key in listed] == sorted((key.id for key in made), reverse=True)
