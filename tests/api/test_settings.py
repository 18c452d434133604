"""Settings and peppers: what a knob may be, where peppers come from, and how they are replaced."""

import base64
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from rich.pretty import pretty_repr

from keyledger import InvalidArgument, KeyLedger, LedgerUnavailable, PepperUnavailable, Settings

OLD, NEW = b"old pepper " * 3, b"new pepper " * 3
SECONDS = ("database_timeout_seconds", "flush_interval_seconds")
COUNTS = ("max_connections", "flush_after_uses", "buffer_limit_uses", "refused_limit_per_key")
BAD_PEPPERS: dict[str, Any] = {
    "a text": "k1:pepper",
    "a list": [OLD],
    "31 bytes": {"k1": bytes(31)},
    "no bytes": {"k1": "x" * 40},
    "None": {"k1": None},
    "an empty id": {"": OLD},
    "an id of 33 characters": {"k" * 33: OLD},
    "white space in the id": {"k 1": OLD},
    "an id in no ASCII": {"ключ": OLD},
    "a number as id": {1: OLD},
    "the id of no pepper": {"none": OLD},
}
BAD_VARIABLES = [
    "k1",
    "k1:",
    "k1:§",
    "k1:not base64",
    f"k1:{base64.b64encode(bytes(31)).decode()}",
    f":{'A' * 44}",
]


def variable(**peppers: bytes) -> str:
    return ",".join(f"{kid}:{base64.b64encode(pepper).decode()}" for kid, pepper in peppers.items())


def peppered(**peppers: bytes) -> Settings:
    return Settings(peppers=peppers)


def kids(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [
            kid for (kid,) in connection.execute("SELECT digest_kid FROM keyledger.api_keys ORDER BY created_at")
        ]


@pytest.mark.parametrize("field", SECONDS)
@pytest.mark.parametrize("value", [0, -1, 86_400, float("nan"), float("inf"), "5", None, True], ids=repr)
def test_a_time_is_a_number_of_seconds_up_to_a_day(field: str, value: Any) -> None:
    assert Settings(**{field: 86_399.9}) != Settings(**{field: 0.001})
    with pytest.raises(InvalidArgument, match="a number of seconds above 0, up to a day") as refused:
        Settings(**{field: value})
    assert refused.value.param == field


@pytest.mark.parametrize("field", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, float("nan"), "5", None, True], ids=repr)
def test_a_limit_is_a_whole_number_of_at_least_1(field: str, value: Any) -> None:
    assert Settings(**{field: 1}) != Settings(**{field: 2})
    with pytest.raises(InvalidArgument, match="a whole number of at least 1") as refused:
        Settings(**{field: value})
    assert refused.value.param == field


def test_prepared_statements_are_on_or_off() -> None:
    with pytest.raises(InvalidArgument, match="True or False"):
        Settings(prepared_statements="no")  # type: ignore[arg-type]


@pytest.mark.parametrize("peppers", [pytest.param(value, id=name) for name, value in BAD_PEPPERS.items()])
def test_a_pepper_is_32_random_bytes_under_a_short_id(peppers: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"pepper's id|32 random bytes") as refused:
        Settings(peppers=peppers)
    assert refused.value.param == "peppers"


@pytest.mark.parametrize("text", BAD_VARIABLES)
def test_a_malformed_variable_is_refused_without_showing_it(
    dsn: str, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("KEYLEDGER_PEPPERS", text)
    with pytest.raises(InvalidArgument) as refused:
        KeyLedger.open(dsn)
    assert refused.value.param == "KEYLEDGER_PEPPERS"
    assert "ID:BASE64" in str(refused.value)
    assert text not in str(refused.value)


@pytest.mark.parametrize("show", [repr, str, "{}".format, pretty_repr])
def test_settings_show_the_ids_of_their_peppers_only(show: Callable[[object], str]) -> None:
    shown = show(peppered(k1=OLD, k2=NEW))
    assert "k1" in shown
    assert "k2" in shown
    assert "pepper " not in shown


def test_no_pepper_needs_to_be_given(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYLEDGER_PEPPERS", raising=False)
    with KeyLedger.open(dsn) as ledger:
        assert ledger.verify(ledger.api_keys.create(name="a key", subject="user_1").secret).valid
    assert kids(dsn) == ["none"]


def test_after_a_rotation_old_keys_still_verify_and_new_ones_use_the_new_pepper(
    dsn: str, open_ledger: Callable[..., KeyLedger]
) -> None:
    before = open_ledger(peppered(k1=OLD))
    old = before.api_keys.create(name="old", subject="user_1")

    after = open_ledger(peppered(k2=NEW, k1=OLD))
    new = after.api_keys.create(name="new", subject="user_1")

    assert kids(dsn) == ["k1", "k2"]
    assert (after.verify(old.secret).code, after.verify(new.secret).code) == ("valid", "valid")


def test_peppers_come_from_the_environment_unless_settings_give_some(
    dsn: str, monkeypatch: pytest.MonkeyPatch, open_ledger: Callable[..., KeyLedger]
) -> None:
    monkeypatch.setenv("KEYLEDGER_PEPPERS", f" {variable(k2=NEW, k1=OLD)} , ")
    key = open_ledger(Settings()).api_keys.create(name="a key", subject="user_1")
    open_ledger(peppered(k3=OLD)).api_keys.create(name="another", subject="user_1")

    assert kids(dsn) == ["k2", "k3"]
    assert open_ledger(peppered(k2=NEW)).verify(key.secret).valid


def test_without_its_pepper_a_key_cannot_be_decided_on(open_ledger: Callable[..., KeyLedger]) -> None:
    key = open_ledger(peppered(k1=OLD)).api_keys.create(name="a key", subject="user_1")
    other = open_ledger(peppered(k2=NEW))

    with pytest.raises(PepperUnavailable, match=r"'k1'.*KEYLEDGER_PEPPERS") as refused:
        other.verify(key.secret)

    assert isinstance(refused.value, LedgerUnavailable)
    assert other.api_keys.get(key.id).name == "a key"
    assert other.api_keys.revoke(key.id).revoked
