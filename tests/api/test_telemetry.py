"""Metrics and traces through OpenTelemetry's API: the figures of status, and no word that could be a secret."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from keyledger import KeyLedger, Settings, Use

NO_OPENTELEMETRY = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry": raise ImportError(name)
sys.meta_path.insert(0, Absent())
from keyledger import KeyLedger
with KeyLedger.open(sys.argv[1]) as ledger:
    key = ledger.api_keys.create(name="one", subject="org_1")
    assert ledger.verify(key.secret).valid
    ledger.api_keys.revoke(key.id)
    ledger._recorder.flush()
    assert ledger.status().figures["uses.stored"] == 1
assert "opentelemetry" not in sys.modules
"""


@pytest.fixture(scope="module")
def reader() -> InMemoryMetricReader:
    """What a service sets up once."""
    found = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([found]))
    return found


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    found = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    trace.set_tracer_provider(provider)
    return found


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Callable[[], list[ReadableSpan]]:
    exporter.clear()
    return lambda: list(exporter.get_finished_spans())


@pytest.fixture
def shown(reader: InMemoryMetricReader) -> Callable[[], dict[str, float]]:
    """The metrics by name, as they are exported now."""

    def read() -> dict[str, float]:
        data = reader.get_metrics_data()
        found = [
            metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics
        ]
        points = {metric.name: list(metric.data.data_points) for metric in found}
        assert all(len(some) == 1 and not some[0].attributes for some in points.values())
        return {name: some[0].value for name, some in points.items()}

    return read


def test_the_metrics_are_the_figures_of_status(
    open_ledger: Callable[..., KeyLedger], shown: Callable[[], dict[str, float]]
) -> None:
    ledger = open_ledger(Settings(flush_interval_seconds=3600))
    before = shown()
    key = ledger.api_keys.create(name="one", subject="org_1")
    for _ in range(5):
        ledger.verify(key.secret)

    assert shown()["keyledger.uses.waiting"] == ledger.status().figures["uses.waiting"] == 5

    ledger._recorder.flush()
    after, figures = shown(), ledger.status().figures
    assert after["keyledger.uses.waiting"] == 0
    assert after["keyledger.uses.stored"] - before["keyledger.uses.stored"] == figures["uses.stored"] == 5
    assert after["keyledger.flush.last"] == figures["flush.last"] > 0
    assert {f"keyledger.{name}" for name in figures} == after.keys()


def test_counters_add_up_over_the_ledgers_of_a_process_and_outlast_them(
    open_ledger: Callable[..., KeyLedger], shown: Callable[[], dict[str, float]]
) -> None:
    ledgers = [open_ledger(Settings(flush_interval_seconds=3600)) for _ in range(2)]
    before = shown()["keyledger.uses.stored"]
    key = ledgers[0].api_keys.create(name="one", subject="org_1")
    for ledger in ledgers:
        ledger.verify(key.secret)
        ledger.close()

    assert shown()["keyledger.uses.stored"] == before + 2


def test_flushes_and_revocations_are_spans(
    open_ledger: Callable[..., KeyLedger], spans: Callable[[], list[ReadableSpan]]
) -> None:
    ledger = open_ledger(Settings(flush_interval_seconds=3600))
    key = ledger.api_keys.create(name="one", subject="org_1")
    ledger.verify(key.secret)
    ledger._recorder.flush()
    ledger.api_keys.revoke(key.id)

    assert {span.name for span in spans()} == {"keyledger.flush", "keyledger.revoke"}
    (flush,) = (span for span in spans() if span.name == "keyledger.flush")
    assert dict(flush.attributes or {}) == {"keyledger.uses": 1, "keyledger.keys": 1}


def test_nothing_that_is_shown_has_a_secret_or_a_keys_id_in_it(
    open_ledger: Callable[..., KeyLedger],
    reader: InMemoryMetricReader,
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    ledger = open_ledger()
    key = ledger.api_keys.create(name="one", subject="org_secret")
    ledger.verify(key.secret, use=Use(path="/private", user_agent=key.secret))
    ledger.verify(key.secret, scopes=["missing"])
    ledger.api_keys.revoke(key.id, revocation_reason="leaked")
    ledger.close()

    text = reader.get_metrics_data().to_json() + "".join(span.to_json() for span in spans())  # type: ignore[union-attr]
    assert "keyledger.flush" in text
    for word in (str(key.secret)[3:], key.id[3:], key.id[3:].upper(), "org_secret", "/private", "leaked"):
        assert word not in text


def test_without_opentelemetry_everything_works_and_nothing_is_imported(dsn: str) -> None:
    subprocess.run([sys.executable, "-c", NO_OPENTELEMETRY, dsn], check=True, timeout=60)
