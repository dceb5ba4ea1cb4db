"""What a status tells, how fast the worker says it is, and that a file alone tells the same."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.worker import Worker, order, touch
from worker.decode import Decoder
from worker.events import Origin
from worker.metrics import Metrics
from worker.run import Clock
from worker.serve.rates import RateMeter, Rates
from worker.serve.status import Status, StatusBoard, status_of_file
from worker.telemetry import Telemetry

NOW = datetime(2026, 3, 7, 12, tzinfo=UTC)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def told(worker: Worker) -> Status:
    """What the worker's file says."""
    with closing(worker.store.cursor()) as cursor:
        return status_of_file(cursor, worker.store.path)


def rates(meter: RateMeter, tick: float, *, file: int = 0, wal: int = 0, lag: int | None = 0) -> Rates:
    found = meter.rates(tick, file_bytes=file, wal_bytes=wal, offset_lag=lag)
    assert found is not None
    return found


def test_rates_are_what_happened_between_two_looks() -> None:
    meter = RateMeter(100.0)
    assert meter.rates(100.0, file_bytes=1000, wal_bytes=500, offset_lag=9000) is None
    meter.committed(102.0, 3000)
    meter.committed(104.0, 1000)
    found = rates(meter, 104.0, file=1000, wal=100, lag=5000)
    assert (found.seconds, found.messages_per_second, found.commits_per_second) == (4.0, 1000.0, 0.5)
    assert (found.file_bytes_per_second, found.wal_bytes_per_second) == (0.0, -100.0)
    assert (found.offset_lag_per_second, found.catch_up_seconds) == (-1000.0, 5.0)


def test_only_the_last_ten_seconds_count() -> None:
    meter = RateMeter(0.0)
    meter.rates(0.0, file_bytes=0, wal_bytes=0, offset_lag=0)
    meter.committed(0.5, 1_000_000)
    for tick in range(1, 15):
        meter.rates(float(tick), file_bytes=0, wal_bytes=0, offset_lag=0)
    meter.committed(14.5, 50)
    found = rates(meter, 15.0)
    assert (found.seconds, found.messages_per_second) == (10.0, 5.0)


@pytest.mark.parametrize(("before", "now"), [(10, 10), (10, 20), (None, 20), (10, None)])
def test_nobody_promises_an_end_to_a_lag_that_does_not_shrink_or_is_unknown(before: int | None, now: int | None) -> None:
    meter = RateMeter(0.0)
    meter.rates(0.0, file_bytes=0, wal_bytes=0, offset_lag=before)
    assert rates(meter, 1.0, lag=now).catch_up_seconds is None


def test_the_history_has_a_figure_for_each_five_seconds_also_where_nothing_came() -> None:
    meter = RateMeter(100.0)
    meter.rates(100.0, file_bytes=0, wal_bytes=0, offset_lag=0)
    meter.committed(101.0, 10)
    meter.committed(104.9, 15)
    meter.committed(117.0, 50)
    assert rates(meter, 119.9).history == (5.0, 0.0, 0.0)
    assert rates(meter, 120.0).history == (5.0, 0.0, 0.0, 10.0)
    assert rates(meter, 10_000.0).history == (0.0,) * 60


def test_the_worker_measures_its_rates_by_the_monotonic_clock_and_tells_the_lag(worker: Worker) -> None:
    source: Any = worker.log.source(worker.settings.kafka.topics)
    source.start({}, None)
    elapsed = [0.0]
    clock = Clock(lambda: NOW, lambda: elapsed[0])
    board = StatusBoard(clock.tick)
    telemetry = Telemetry(Metrics(), board, worker.store, source, cast(Decoder, SimpleNamespace(stats={})), clock)
    worker.now = NOW
    for number in range(3):
        worker.log.put([touch(f"c{number}", "2026-03-05"), order(f"o{number}", "2026-03-05")])
        batch = worker.pipeline.decode(worker.pipeline.poll(), worker.now)
        telemetry.committed(batch, worker.pipeline.step(batch, worker.now, 0.0), 0.1)
        elapsed[0] += 2.0
    status = board.status()
    assert (status.taken_at, status.offset_lag) == (NOW, 0)
    assert status.rates is not None
    assert (status.rates.seconds, status.rates.messages_per_second, status.rates.commits_per_second) == (4.0, 1.0, 0.5)
    assert Status.model_validate(status.as_json()) == status


def test_a_remerge_is_told_with_what_it_changed(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), order("o1", "2026-03-05"), close="2026-03-06")
    assert told(worker).remerges == ()
    worker.feed(touch("c2", "2026-03-05"), order("o2", "2026-03-05", currency="EUR"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", refunded_cents=250))
    (found,) = told(worker).remerges
    assert (found.day, found.revision, found.changed_at) == (date(2026, 3, 5), 3, worker.now)
    assert (found.late_new, found.late_update, found.touchpoints, found.orders) == (2, 1, 1, 1)
    assert found.net_cents == -250  # in the reporting currency


def test_the_ten_days_that_changed_last_are_told_newest_first(worker: Worker) -> None:
    days = [f"2026-03-{number:02}" for number in range(1, 13)]
    worker.feed(*(touch("c1", day) for day in days), close="2026-03-12")
    for hour, day in enumerate([*days[1:], days[0]]):
        worker.now = worker.now.replace(hour=hour)
        worker.feed(touch(None, day))
    found = [str(remerge.day) for remerge in told(worker).remerges]
    assert found == [days[0], *reversed(days[3:])]


def test_conflicting_duplicates_are_told_by_stream_and_origin(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05", event_id="e"), touch("c1", "2026-03-05", event_id="e", channel="search"))
    worker.feed(touch("c1", "2026-03-05", event_id="e", channel="social"), origin=Origin.REPLAY)
    found = {(row.stream, row.origin): (row.read, row.duplicate, row.conflicting_duplicates) for row in told(worker).accounting if row.read}
    assert found == {("touchpoints", "live"): (2, 1, 1), ("touchpoints", "replay"): (1, 1, 1)}


def test_jobs_that_have_not_ended_come_first(worker: Worker) -> None:
    for kind, ended in (("backfill", "2026-03-02"), ("replay", None), ("compact", "2026-03-03")):
        worker.tamper(
            "insert into job (kind, arguments, state, requested_by, requested_at, changed_at, ended_at, done, total) "
            "values ($kind, '{}', 'running', 'ann', timestamp '2026-03-01', timestamp '2026-03-01', $ended, 5, 10)",
            kind=kind,
            ended=ended,
        )
    found = told(worker).jobs
    assert [(job.kind, job.done, job.total) for job in found] == [("replay", 5, 10), ("compact", 5, 10), ("backfill", 5, 10)]
    assert found[0].requested_at == datetime(2026, 3, 1, tzinfo=UTC)


def test_the_lag_of_all_is_that_of_the_partitions_whose_end_is_known(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"))
    status = told(worker)
    assert status.offset_lag is None
    (first, *others) = status.partitions
    assert status.model_copy(update={"partitions": (first.model_copy(update={"offset_lag": 7}), *others)}).as_json()["offset_lag"] == 7
