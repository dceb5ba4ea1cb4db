"""What a step makes of what the source tells it beside messages."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.worker import Worker, moment, order, touch
from worker.events import Partition, Position

WATERMARK_DELAY = timedelta(minutes=5)
LONG_AFTER_IDLE = 1_000.0


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def step_in_silence(worker: Worker, log_ends: dict[Partition, int]) -> Position:
    """Commit what is in the log, long after the last event. `log_ends`: where the broker says that it ends."""
    polled = worker.pipeline.poll()
    batch = worker.pipeline.decode(replace(polled, log_end_offsets={**polled.log_end_offsets, **log_ends}), worker.now)
    worker.pipeline.step(batch, worker.now, LONG_AFTER_IDLE)
    return worker.pipeline.state.position


@pytest.mark.parametrize(("log_end", "reached"), [(1, "2026-03-09"), (2, "2026-03-05")], ids=["read to its end", "an open transaction"])
def test_what_lies_behind_an_open_transaction_holds_the_watermark(worker: Worker, log_end: int, reached: str) -> None:
    """read_committed stops before an open transaction and calls that the end: what is in it, and behind it, has come and is not read."""
    orders = Partition("orders", 0)
    worker.feed(order("o1", "2026-03-05"), touch("c1", "2026-03-05"))
    worker.now = moment("2026-03-09")
    worker.log.put([touch("c1", "2026-03-09")])
    assert step_in_silence(worker, {orders: log_end})[orders].offset == 1
    assert worker.pipeline.state.watermark.value == (moment(reached) - WATERMARK_DELAY).timestamp() * 1_000_000
