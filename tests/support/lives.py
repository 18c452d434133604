"""Keys with every kind of event in their lives, made through a ledger."""

from keyledger import Actor, APIKey, KeyLedger, Use

ACTOR = Actor(
    user_id="user_1",
    organization_id="org_1",
    ip_address="198.51.100.1",
    request_id="req_1",
    credential_id="ak_01a208f6d6287113baedf4f2bbe2bd48",
)


def live(ledger: KeyLedger, keys: int = 6) -> list[APIKey]:
    """So many keys, used, changed, moved and revoked, with every event committed."""
    made = []
    for number in range(keys):
        key = ledger.api_keys.create(
            name=f"Key {number} Ünïcode",
            subject=f"org_{number % 3}",
            scopes=("read", 'a "quoted" one')[: number % 3],
        )
        made.append(key)
        use(ledger, key, number + 1)
        if number % 3 == 0:
            ledger.api_keys.update(key.id, description="changed", claims={"n": [number, None]})
        if number % 3 == 1:
            ledger.api_keys.update(key.id, subject="org_9", seconds_until_expiration=3600)
        if number % 4 == 1:
            ledger.api_keys.revoke(key.id, revocation_reason="no longer needed", actor=ACTOR)
            use(ledger, key, 2)
    return made


def use(ledger: KeyLedger, key: APIKey, times: int = 1) -> None:
    """Use a key so often, in an event of its own."""
    for number in range(times):
        ledger.verify(str(key.secret), use=Use(ip_address=f"192.0.2.{number}", path="/things"))
    ledger._recorder.flush()
