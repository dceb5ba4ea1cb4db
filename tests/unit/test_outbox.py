"""The outbox: what is rejected leaves the file, whatever else can't."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.simulation.faults import FaultyConnection
from tests.support.fake_dlq import FakeDlq
from tests.support.worker import Worker
from worker.errors import StoreError
from worker.outbox import Outbox
from worker.run import Clock


class World:
    """A file with rejected messages, and an outbox whose time passes when it is told to."""

    def __init__(self, directory: Path) -> None:
        self.worker = Worker(directory)
        self.dlq = FakeDlq()
        self._tick = 0.0

    def reject(self, topic: str, messages: int) -> None:
        self.worker.tamper(
            'insert into rejected (stream, topic, topic_id, partition, "offset", headers, stage, reason, detail, ingested_at, is_pending) '
            "select $topic, $topic, 'x', 0, n, [], 'frame', 'bad_frame', '', timestamp '2026-03-05', true from range($messages) as t (n)",
            topic=topic,
            messages=messages,
        )

    def outbox(self) -> Outbox:
        return Outbox(self.worker.store, self.dlq, Clock(lambda: datetime(2026, 3, 5, tzinfo=UTC), lambda: self._tick))

    def run(self, outbox: Outbox, seconds: int) -> None:
        for _ in range(seconds):
            self._tick += 1.0
            outbox.ticked()

    def pending(self) -> int:
        ((count,),) = self.worker.query("select count(*) from rejected where is_pending")
        assert isinstance(count, int)
        return count


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.worker.close()


def test_all_that_is_pending_is_sent_once(world: World) -> None:
    world.reject("orders", 1_100)
    world.run(world.outbox(), 5)
    assert len({row.id for row in world.dlq.rows}) == len(world.dlq.rows) == 1_100
    assert world.pending() == 0


def test_a_topic_that_takes_nothing_does_not_hold_up_the_others(world: World) -> None:
    world.reject("orders", 1_100)
    world.reject("touchpoints", 3)
    world.dlq.refuses = {"orders"}
    outbox = world.outbox()
    world.run(outbox, 30)
    assert [row.topic for row in world.dlq.rows] == ["touchpoints"] * 3
    world.dlq.refuses = set()
    world.run(outbox, 300)
    assert world.pending() == 0


def test_a_full_disk_is_told_as_the_files_fault(world: World) -> None:
    world.reject("orders", 1)
    store = world.worker.store
    faulty = FaultyConnection(store._connection, 2, None, store.path, is_done=False)
    outbox = world.outbox()
    store._connection = faulty  # type: ignore[assignment]
    with pytest.raises(StoreError, match="Free disk space"):
        world.run(outbox, 1)
