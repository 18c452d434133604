"""keyledger, as a contender: `ledger.verify` with its use recorded."""

from importlib.metadata import version

from psycopg.conninfo import make_conninfo

from keyledger import KeyLedger, Use
from scripts.benchmarks.peers.serving import asked, serve

USE = Use(ip_address="192.0.2.7", user_agent="benchmark/1", method="GET", path="/v1/things", request_id="req_1")


def main() -> None:
    """Serve from a migrated database."""
    given = asked()
    with KeyLedger.open(make_conninfo(**given["dsn"])) as ledger:
        keys = [ledger.api_keys.create(name="benchmark", subject="org_1") for _ in range(given["keys"])]
        secrets = [str(key.secret) for key in keys]

        def verify(number: int) -> None:
            assert ledger.verify(secrets[number % len(secrets)], use=USE).valid

        def settle() -> None:
            ledger.event_rows(keys[0].id)  # flushes
            ledger.catch_up()

        serve(f"keyledger {version('keyledger')}", verify, settle=settle)


if __name__ == "__main__":
    main()
