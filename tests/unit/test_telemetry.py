"""What is said of the worker, and what saying it may cost."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from tests.support.marts import mart
from tests.support.worker import Worker, order, touch
from worker.config import Marts
from worker.decode import Decoder
from worker.marts.refresh import MartRun, Refresher, RunState
from worker.marts.runner import MartRunner
from worker.metrics import Metrics
from worker.run import Clock
from worker.serve.status import StatusBoard, status_of_file
from worker.store import Store
from worker.telemetry import Telemetry


class SlowStore:
    """The store of a worker; it takes some seconds of its own clock to be looked at."""

    def __init__(self, store: Store, seconds: float) -> None:
        self.path = store.path
        self.looks = 0
        self.tick = 0.0
        self._store = store
        self._seconds = seconds

    def cursor(self) -> duckdb.DuckDBPyConnection:
        self.looks += 1
        self.tick += self._seconds
        return self._store.cursor()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def watched(worker: Worker, store: SlowStore, metrics: Metrics) -> Telemetry:
    source: Any = worker.log.source(worker.settings.kafka.topics)
    source.start({}, None)
    clock = Clock(lambda: datetime(2026, 3, 5, tzinfo=UTC), lambda: store.tick)
    return Telemetry(metrics, StatusBoard(clock.tick), cast(Store, store), source, cast(Decoder, None), clock)


@pytest.mark.parametrize(("seconds", "most"), [(0.0, 101), (0.25, 20), (2.0, 4)])
def test_looking_at_the_file_takes_a_twentieth_of_the_time_at_most(worker: Worker, seconds: float, most: int) -> None:
    store = SlowStore(worker.store, seconds)
    telemetry = watched(worker, store, Metrics())
    while store.tick < 100.0:
        store.tick += 0.5
        telemetry.ticked()
    assert most / 2 <= store.looks - 1 <= most


def test_offsets_are_told_of_the_partitions_that_are_read(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), touch("c2", "2026-03-05"))
    worker.tamper("insert into position values ('an earlier topic', 0, 'x', 7, null)")
    metrics = Metrics()
    watched(worker, SlowStore(worker.store, 0.0), metrics).ticked()
    told = {sample.labels["topic"]: sample.value for metric in metrics.next_offset.collect() for sample in metric.samples}
    assert told["touchpoints"] == 2
    assert "an earlier topic" not in told


def test_what_becomes_of_a_mart_is_told(worker: Worker) -> None:
    metrics = Metrics()
    telemetry = watched(worker, SlowStore(worker.store, 0.0), metrics)
    day = date(2026, 3, 5)
    telemetry.mart_refreshed(MartRun("value", RunState.DONE, day, seconds=2.0, rows_read=9, rows_written=3, dirty_share=0.5))
    telemetry.mart_refreshed(MartRun("value", RunState.FAILED, date(2026, 3, 6), seconds=1.0))
    assert values(metrics.mart_refreshes, "state") == {"done": 1, "failed": 1}
    of_mart = (metrics.mart_rows_read, metrics.mart_rows_written, metrics.mart_dirty_share, metrics.mart_seconds)
    assert [values(metric, "mart") for metric in of_mart] == [{"value": told} for told in (9, 3, 0.5, 1.0)]
    still = datetime(2026, 3, 5, 23, 59, 59, 999_999, tzinfo=UTC).timestamp()
    assert values(metrics.mart_as_of, "mart") == {"value": still}


def test_failing_marts_and_audits_are_in_the_status(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), close="2026-03-06")
    broken = mart("broken", "", "select cast('x' as integer) as day from daily_sales", grain="day", reads="daily_sales")
    front = "[[audits]]\nname = 'is there'\nquery = 'select 1'\nseverity = 'warning'\n"
    judged = mart("judged", front, "select day from daily_sales", grain="day", reads="daily_sales")
    refresher = Refresher({each.name: each for each in (broken, judged)}, {}, "USD")
    MartRunner(worker.store.cursor, refresher, Marts(), frozenset(), lambda: worker.now).refresh_due()
    metrics, store = Metrics(), SlowStore(worker.store, 0.0)
    telemetry = watched(worker, store, metrics)
    telemetry.ticked()
    with worker.store.cursor() as connection:
        status = status_of_file(connection, worker.store.path)
    assert [(each.mart, each.state, each.as_of is None) for each in status.marts] == [("broken", "failed", True), ("judged", "done", False)]
    assert [(each.table_name, each.audit, each.severity) for each in status.audits] == [("judged", "is there", "warning")]
    assert values(metrics.audits_failing, "severity") == {"error": 0, "warning": 1}


def values(metric: Any, label: str) -> dict[str, float]:
    """Of each of its series, by a label."""
    (family,) = metric.collect()
    return {sample.labels[label]: sample.value for sample in family.samples if not sample.name.endswith("_created")}
