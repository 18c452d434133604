"""`verify` by the database, with its use recorded, against one prepared SELECT by primary key."""

from keyledger import KeyLedger, Settings, Use
from scripts.benchmarks import plain, report
from scripts.benchmarks.measure import latencies, throughputs
from scripts.benchmarks.scale import Scale

CALLERS = 16
KEYS = 500
USE = Use(ip_address="192.0.2.7", user_agent="benchmark/1", method="GET", path="/v1/things", request_id="req_1")


def run(dsn: str, scale: Scale) -> None:
    """Measure at one caller, to which the goal applies, and at sixteen."""
    with KeyLedger.open(dsn, settings=Settings(cache_entries=0)) as ledger, plain.callers(dsn, CALLERS) as others:
        rows = others[0].insert_many(KEYS)
        secrets = [_secret(ledger) for _ in range(KEYS)]

        def verify(number: int) -> None:
            assert ledger.verify(secrets[number % KEYS], use=USE).valid

        one = {"SELECT": lambda n: others[0].select(rows[n % KEYS]), "verify": verify}
        report.latency("verify, 1 caller", latencies(one, scale.reads), most={"verify": 2})
        many = {"SELECT": lambda c, n: others[c].select(rows[n % KEYS]), "verify": lambda _, n: verify(n)}
        rates = throughputs(many, callers=CALLERS, rounds=scale.rounds, calls=scale.reads_per_round)
        report.throughput(f"verify, {CALLERS} callers", rates, least={})


def _secret(ledger: KeyLedger) -> str:
    secret = ledger.api_keys.create(name="benchmark", subject="org_benchmark", scopes=("read", "write")).secret
    assert secret is not None
    return secret
