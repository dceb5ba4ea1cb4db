"""What is said of the worker, and what saying it may cost."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from tests.support.worker import Worker, touch
from worker.decode import Decoder
from worker.metrics import Metrics
from worker.run import Clock
from worker.serve.status import StatusBoard
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
