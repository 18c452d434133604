"""The key that callers hold: frozen, in UTC, and silent about its secret."""

import copy
import logging
import pickle
import pprint
from collections.abc import Callable
from datetime import UTC, timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from rich.console import Console
from rich.pretty import pretty_repr

from keyledger import APIKey, KeyLedger, KeyNotFound, LedgerClosed, MalformedKeyId

BAD_IDS = [
    "",
    "ak_",
    "ak_" + "0" * 31,
    "ak_" + "0" * 33,
    "ak_" + "g" * 32,
    "ak_" + "\u0660" * 32,
    "AK_" + "0" * 32,
    "ak_" + "0" * 32 + "\n",
    " ak_" + "0" * 32,
    "ak_" + "0" * 31 + "\0",
    "ak_\ud800",
    "0" * 32,
    "x" * 1_000_000,
    b"ak_" + b"0" * 32,
    None,
    5,
    ["ak_" + "0" * 32],
]


def shown_by_rich(value: object) -> str:
    output = StringIO()
    Console(file=output, width=1000).print(value)
    return output.getvalue() + pretty_repr(value)


def logged(value: object) -> str:
    return logging.LogRecord("x", 10, "x", 1, "%s %r", (value, value), None).getMessage()


SHOWN: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": "{}".format,
    "f-string": lambda value: f"{value} {value!r} {value!s} {value!a}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031
    "pprint": pprint.pformat,
    "rich": shown_by_rich,
    "logging": logged,
    "pickle": lambda value: pickle.dumps(value).decode("latin-1"),
    "pickle, protocol 0": lambda value: pickle.dumps(value, protocol=0).decode("latin-1"),
    "repr of a copy": lambda value: repr(copy.copy(value)),
    "repr of a deep copy": lambda value: repr(copy.deepcopy(value)),
    "repr of a list": lambda value: repr([value, {"key": value}]),
}


@pytest.mark.parametrize("show", [pytest.param(show, id=name) for name, show in SHOWN.items()])
def test_a_secret_shows_nowhere_but_in_its_field(
    create: Callable[..., APIKey], show: Callable[[Any], str]
) -> None:
    key = create()
    assert key.secret is not None

    shown = show(key)

    assert key.id in shown
    assert key.secret not in shown
    assert key.secret[25:68] not in shown


def test_a_pickled_key_is_the_key_without_secret_and_ledger(
    ledger: KeyLedger, create: Callable[..., APIKey]
) -> None:
    key = create(scopes=["a"], claims={"b": [1]}, seconds_until_expiration=60)

    thawed = pickle.loads(pickle.dumps(key))

    assert thawed == ledger.api_keys.get(key.id)
    assert thawed.secret is None
    with pytest.raises(LedgerClosed):
        thawed.reload()


def test_only_create_returns_a_secret(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    found = [
        ledger.api_keys.get(key.id),
        ledger.api_keys.get_all(subject="user_1").data[0],
        ledger.api_keys.update(key.id, description="changed"),
        ledger.verify(key.secret).api_key,
        ledger.authenticate(key.secret),
        key.reload(),
        ledger.api_keys.revoke(key.id),
    ]
    assert [one.secret for one in found if one] == [None] * 7


@pytest.mark.parametrize("field", APIKey.__struct_fields__)
def test_a_key_is_frozen(create: Callable[..., APIKey], field: str) -> None:
    key = create()
    with pytest.raises(AttributeError):
        setattr(key, field, None)


def test_keys_read_twice_are_equal(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key, other = create(), create()

    first, second = ledger.api_keys.get(key.id), ledger.api_keys.get(key.id)

    assert first == second
    assert not first != second  # noqa: SIM202
    assert len({first, second, ledger.api_keys.get(other.id)}) == 2
    assert first != ledger.api_keys.update(key.id, description="changed")


def test_reload_reads_what_another_ledger_wrote(
    create: Callable[..., APIKey], open_ledger: Callable[..., KeyLedger]
) -> None:
    key = create()

    open_ledger().api_keys.update(key.id, description="by another", scopes=["a"])

    assert (key.description, key.scopes) == (None, ())
    assert (key.reload().description, key.reload().scopes) == ("by another", ("a",))


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"])
def test_datetimes_are_aware_and_in_utc_whatever_the_databases_time_zone(
    new_database: Callable[[], str], zone: str
) -> None:
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = Identifier(connection.info.dbname)
        connection.execute(SQL("ALTER DATABASE {} SET timezone = {}").format(name, zone))
    with KeyLedger.open(dsn) as ledger:
        key = ledger.api_keys.create(name="a key", subject="user_1", seconds_until_expiration=60)
        ledger.verify(key.secret)
    with KeyLedger.open(dsn) as ledger:
        found = ledger.api_keys.get(key.id)
        listed = ledger.api_keys.get_all(subject="user_1").data[0]

    moments = (found.created_at, found.updated_at, found.expiration, found.last_used_at)
    assert {moment and (moment.tzinfo, moment.utcoffset()) for moment in moments} == {(UTC, timedelta(0))}
    assert (found.created_at, found.expiration) == (key.created_at, key.expiration)
    assert listed == found


def test_an_id_in_upper_case_is_the_same_id(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    assert ledger.api_keys.get("ak_" + key.id[3:].upper()).id == key.id


@pytest.mark.parametrize("method", ["get", "update", "revoke"])
def test_an_id_of_no_key_is_not_found(ledger: KeyLedger, method: str) -> None:
    unknown = "ak_" + "0" * 32
    with pytest.raises(KeyNotFound, match=unknown):
        getattr(ledger.api_keys, method)(unknown)


@pytest.mark.parametrize("malformed", BAD_IDS, ids=lambda value: ascii(value)[:40])
def test_what_is_no_id_is_refused_and_belongs_to_no_key(ledger: KeyLedger, malformed: Any) -> None:
    for method in (ledger.api_keys.get, ledger.api_keys.update, ledger.api_keys.revoke):
        with pytest.raises(MalformedKeyId, match="'ak_' and 32 hexadecimal digits") as refused:
            method(malformed)
        assert refused.value.param == "api_key_id"
        assert isinstance(refused.value, KeyNotFound)
