"""The README's GRANTs are enough for a service, and do not let it touch what is on record."""

import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from keyledger import KeyLedger

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
GRANTS = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)[0]
FORBIDDEN = [
    "UPDATE keyledger.events SET topic = 'x'",
    "DELETE FROM keyledger.events",
    "TRUNCATE keyledger.events",
    "ALTER TABLE keyledger.events DISABLE TRIGGER events_refuse_change",
    "TRUNCATE keyledger.api_keys",
    "UPDATE keyledger.positions SET position = 1",
    "DELETE FROM keyledger.positions",
    "TRUNCATE keyledger.outbox",
]


def test_the_grants_let_a_service_work_and_nothing_more(new_database: Callable[[], str]) -> None:
    dsn, role = new_database(), f"service_{uuid4().hex}"
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
        admin.execute(GRANTS.replace("TO service", f"TO {role}").encode())
    limited = make_conninfo(dsn, options=f"-c role={role}")
    with KeyLedger.open(limited) as ledger:
        key = ledger.api_keys.create(name="one", subject="org_1", idempotency_key="once")
        assert ledger.verify(str(key.secret)).valid
        ledger.api_keys.update(key.id, description="new")
        assert ledger.verify(str(key.secret)).valid
        assert ledger.api_keys.revoke(key.id, barrier=True).revoked
        assert ledger.status().store.api_keys == 1
        ledger._recorder._store.prune()
        ledger._recorder.flush()
        assert ledger.catch_up() == 4
        assert ledger.status().store.outbox == 0
        assert ledger.api_keys.get(key.id).last_used_at is not None
        ledger.api_keys.delete(key.id)
        assert ledger.status().store.api_keys == 0
    with psycopg.connect(limited, autocommit=True) as service:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(statement.encode())
