"""The metrics: their names, their sums, and that Prometheus' own tools find no fault with them."""

import shutil
import subprocess

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from worker.events import Origin, Outcome, Partition, Rejected, Stage, Stream
from worker.metrics import Decoder, Metrics, SourceState


@pytest.fixture
def metrics() -> Metrics:
    """Every metric with at least one series."""
    metrics = Metrics()
    metrics.count_outcomes(Stream.ORDERS, Origin.LIVE, {Outcome.ACCEPTED: 5, Outcome.DUPLICATE: 1, Outcome.REJECTED: 2, Outcome.EXPIRED: 1})
    metrics.count_rejected(Rejected(Stream.ORDERS, "orders", 0, 7, Stage.DECODE, "truncated", "", b""))
    metrics.set_offsets(Partition("orders", 0), 90, 100)
    metrics.decoded_rows.labels(Stream.ORDERS, Decoder.COLUMNAR).inc(7)
    metrics.late_events.labels(Stream.ORDERS).inc()
    metrics.stage_seconds.labels("decode").observe(0.1)
    metrics.partitions.labels("orders").set(6)
    metrics.day_states.labels("open").set(2)
    metrics.mart_refreshes.labels("customer_overview", "done").inc()
    metrics.audits_failing.labels("error").set(1)
    metrics.mart_rows_read.labels("customer_overview").inc(9)
    metrics.mart_rows_written.labels("customer_overview").inc(3)
    for gauge in (metrics.mart_seconds, metrics.mart_dirty_share, metrics.mart_as_of):
        gauge.labels("customer_overview").set(0.5)
    return metrics


def series(metrics: Metrics, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {tuple(s.labels[label] for label in labels): s.value for f in families for s in f.samples if s.name == f"tidemark_{name}"}


def test_read_is_the_sum_of_the_outcomes(metrics: Metrics) -> None:
    messages = series(metrics, "messages_total", "outcome")
    assert messages == {("read",): 9, ("accepted",): 5, ("duplicate",): 1, ("rejected",): 2, ("expired",): 1}


def test_an_event_is_a_message_that_was_not_rejected(metrics: Metrics) -> None:
    assert sum(series(metrics, "events_total", "outcome").values()) == 7
    assert series(metrics, "rejected_total", "stream", "stage", "reason") == {("orders", "decode", "truncated"): 1}


def test_the_offset_lag_is_never_negative(metrics: Metrics) -> None:
    assert series(metrics, "offset_lag", "topic", "partition") == {("orders", "0"): 10}
    metrics.set_offsets(Partition("orders", 0), 101, 100)
    metrics.set_offsets(Partition("orders", 1), 5, None)
    assert series(metrics, "offset_lag", "topic", "partition") == {("orders", "0"): 0}
    assert series(metrics, "next_offset", "topic", "partition") == {("orders", "0"): 101, ("orders", "1"): 5}


def test_the_source_is_in_one_state(metrics: Metrics) -> None:
    metrics.set_source_state(SourceState.UNAVAILABLE)
    assert [state for state, value in series(metrics, "source_state", "state").items() if value] == [("unavailable",)]


def test_a_process_can_hold_many_workers() -> None:
    first, second = Metrics(), Metrics()
    first.day_remerges.inc()
    assert series(second, "day_remerges_total") == {(): 0}


def test_the_process_itself_is_measured(metrics: Metrics) -> None:
    assert b"process_resident_memory_bytes" in generate_latest(metrics.registry)


def test_every_metric_has_a_series_and_a_text(metrics: Metrics) -> None:
    families = list(metrics.registry.collect())
    assert [family.name for family in families if not family.samples or not family.documentation] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (of Prometheus) is not installed")
def test_promtool_finds_no_fault(metrics: Metrics) -> None:
    check = subprocess.run(["promtool", "check", "metrics"], input=generate_latest(metrics.registry), capture_output=True, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")
