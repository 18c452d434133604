"""Every kind of call, given a ledger and a key with its secret, of which a use waits to be stored."""

from collections.abc import Callable

from keyledger import APIKey, KeyLedger

Call = Callable[[KeyLedger, APIKey], object]

WRITES: dict[str, Call] = {
    "create": lambda ledger, _: ledger.api_keys.create(name="another", subject="org_1"),
    "create once": lambda ledger, _: ledger.api_keys.create(name="once", subject="org_1", idempotency_key="once"),
    "update": lambda ledger, key: ledger.api_keys.update(key.id, description="new"),
    "revoke": lambda ledger, key: ledger.api_keys.revoke(key.id),
    "flush": lambda ledger, key: ledger.event_rows(key.id),
}
CALLS: dict[str, Call] = {
    **WRITES,
    "get": lambda ledger, key: ledger.api_keys.get(key.id),
    "get_all": lambda ledger, _: ledger.api_keys.get_all(subject="org_1"),
    "verify": lambda ledger, key: ledger.verify(str(key.secret)),
    "status": lambda ledger, _: ledger.status(),
}
