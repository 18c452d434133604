"""Secrecy: a secret that was ever made or pasted stands in no table, event, log, error or repr."""

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from keyledger import Actor, APIKey, InvalidArgument, KeyLedger, KeyLedgerError, Settings, Use
from keyledger.domain import secret as secrets
from keyledger.domain.ids import new_uuid
from keyledger.domain.use import RecordedUse
from keyledger.infrastructure.embedded import EmbeddedServer

BLACKED_OUT = "ak_[redacted]"
PASTED: dict[str, Callable[[str], dict[str, Any]]] = {
    "name": lambda secret: {"name": f"key {secret}"},
    "description": lambda secret: {"description": f"({secret})"},
    "subject": lambda secret: {"subject": secret},
    "scopes": lambda secret: {"scopes": ["a", f"x{secret}"]},
    "created_by": lambda secret: {"created_by": secret},
    "idempotency_key": lambda secret: {"idempotency_key": secret},
    "claims": lambda secret: {"claims": [{"a": secret}]},
}


class Heard(logging.Handler):
    """Everything that anybody logs, as a formatter would write it and as the record holds it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += logging.Formatter().format(record) + repr(record.__dict__)


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Every logger's records from DEBUG on."""
    heard, root = Heard(), logging.getLogger()
    loggers = [root, *map(logging.getLogger, ("keyledger", "psycopg", "psycopg.pool", "asyncio"))]
    levels = [logger.level for logger in loggers]
    root.addHandler(heard)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield heard
    root.removeHandler(heard)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def dumped(dsn: str) -> str:
    """Every table of the schema, bytes as text too."""
    found = ""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'keyledger'").fetchall()
        for (table,) in tables:
            for row in connection.execute(SQL("SELECT * FROM keyledger.{}").format(Identifier(table))):
                found += f"{table}: {row!r}\n" + "".join(
                    bytes(value).decode("latin-1") for value in row if isinstance(value, (bytes, memoryview))
                )
    assert "events: " in found
    return found


@pytest.mark.parametrize("param", PASTED)
def test_a_secret_in_what_would_be_stored_is_refused_and_not_repeated(
    create: Callable[..., APIKey], param: str
) -> None:
    secret = create().secret
    assert secret is not None

    with pytest.raises(InvalidArgument, match="holds no API key's secret") as refused:
        create(**PASTED[param](secret))

    assert refused.value.param == param
    assert secret not in "".join(traceback.format_exception(refused.value)) + repr(refused.value)


@pytest.mark.parametrize("param", ["description", "subject", "scopes", "claims"])
def test_an_update_refuses_a_secret_as_well(ledger: KeyLedger, create: Callable[..., APIKey], param: str) -> None:
    key = create()
    assert key.secret is not None
    with pytest.raises(InvalidArgument, match="holds no API key's secret") as refused:
        ledger.api_keys.update(key.id, **PASTED[param](key.secret))
    assert refused.value.param == param


@pytest.mark.parametrize("field", Actor.__struct_fields__)
def test_no_actor_is_named_by_a_secret(field: str) -> None:
    with pytest.raises(InvalidArgument, match="holds no API key's secret"):
        Actor(**{field: secrets.generate(new_uuid())})


def test_a_secret_in_a_revocation_reason_is_blacked_out(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key, other = create(), create()
    reason = f"found {key.secret} and {other.secret}, again {key.secret}." + "x" * 1000

    revoked = ledger.api_keys.revoke(key.id, revocation_reason=reason[:1024])

    assert revoked.revocation_reason is not None
    assert revoked.revocation_reason.startswith(f"found {BLACKED_OUT} and {BLACKED_OUT}, again {BLACKED_OUT}.x")


@pytest.mark.parametrize("field", Use.__struct_fields__)
@pytest.mark.parametrize("form", ["{}", "/orders?key={}&page=2", "Bearer {}", "{0}{0}", "x{}"])
def test_a_secret_in_a_use_is_blacked_out(
    open_ledger: Callable[..., KeyLedger],
    create: Callable[..., APIKey],
    uses: Callable[..., list[RecordedUse]],
    field: str,
    form: str,
) -> None:
    ledger, key = open_ledger(), create()
    ledger.verify(key.secret, use=Use(**{field: form.format(key.secret)}))
    ledger.close()

    (use,) = uses(key)
    assert getattr(use.use, field) == form.format(BLACKED_OUT)


@pytest.mark.parametrize("kept", [47, 60, 67, 73])
def test_a_secret_cut_short_is_still_a_secret(ledger: KeyLedger, create: Callable[..., APIKey], kept: int) -> None:
    key = create()
    assert key.secret is not None
    part = key.secret[:kept]

    with pytest.raises(InvalidArgument, match="holds no API key's secret"):
        create(name=f"key {part}")
    revoked = ledger.api_keys.revoke(key.id, revocation_reason=f"leaked {part}{key.secret}!")

    assert revoked.revocation_reason == f"leaked {BLACKED_OUT}{BLACKED_OUT}!"


def test_a_key_id_is_no_secret(ledger: KeyLedger, create: Callable[..., APIKey]) -> None:
    key = create()
    replacement = create(name=f"instead of {key.id}", description=key.id)
    assert ledger.api_keys.revoke(key.id, revocation_reason=f"see {replacement.id}").revocation_reason == (
        f"see {replacement.id}"
    )


def rich_session(
    ledger: KeyLedger, impatient: KeyLedger, dsn: str
) -> tuple[list[str], list[BaseException], list[Any]]:
    """Everything that a service may do and get wrong; returns the secrets, the errors and the answers."""
    errors: list[BaseException] = []
    answers: list[Any] = []

    def attempt(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            answers.append(call(*arguments, **named))
        except KeyLedgerError as error:
            errors.append(error)
        return answers[-1]

    acting = ledger.on_behalf_of(Actor(user_id="user_1"))
    keys = [acting.api_keys.create(name=f"key {number}", idempotency_key=str(number)) for number in range(4)]
    made = [key.secret for key in keys if key.secret]
    forged = secrets.generate(UUID(keys[0].id[3:]))
    for secret in [*made, forged, secrets.generate(new_uuid()), made[0][:-1], made[0] + "\0", made[0].encode()]:
        attempt(ledger.verify, secret, use=Use(path=f"/?key={made[0]}", user_agent=made[1]))
        attempt(ledger.authenticate, secret, scopes=["admin"])
        attempt(ledger.api_keys.get, secret)
        attempt(ledger.api_keys.revoke, secret)
        attempt(acting.api_keys.create, name=secret)
        attempt(acting.api_keys.create, name="a key", claims={"a": secret})
        attempt(acting.api_keys.create, name="a key", idempotency_key="0")
        attempt(acting.api_keys.get_all, query=secret)
        attempt(ledger.verify, made[2], use=secret)
        attempt(ledger.verify, made[2], scopes=secret)
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE keyledger.api_keys IN ACCESS EXCLUSIVE MODE")
        attempt(impatient.verify, made[0])
        attempt(impatient.api_keys.create, name="a key", subject="user_1")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyledger'"
        )
    attempt(ledger.verify, made[3])
    attempt(ledger.api_keys.revoke, keys[3].id, revocation_reason=f"leaked: {made[3]}")
    ledger.close()
    attempt(ledger.verify, made[0])
    return [*made, forged], errors, [*answers, *keys]


def test_no_secret_stands_anywhere_after_a_rich_session(
    dsn: str, server: EmbeddedServer, open_ledger: Callable[..., KeyLedger], heard: Heard
) -> None:
    impatient = open_ledger(Settings(database_timeout_seconds=0.3))
    made, errors, answers = rich_session(open_ledger(), impatient, dsn)
    impatient.close()

    places = {
        "the tables": dumped(dsn),
        "the log": heard.text,
        "the server's log": Path(server.data_dir, "server.log").read_text(errors="replace"),
        "the errors": "".join("".join(traceback.format_exception(error)) + repr(error.args) for error in errors),
        "the answers": repr(answers),
    }

    assert len({type(error) for error in errors}) >= 6
    assert all(places.values()), "a place that holds nothing proves nothing"
    for place, text in places.items():
        for secret in made:
            assert secret not in text, place
            assert secret[25:68] not in text, place
