"""A worker that is killed again and again while it reads a real Kafka, and has lost and repeated nothing in the end."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.java import NotHere
from tests.support.kafka_log import KafkaLog
from tests.support.live import LiveStream, WorkerProcess
from tests.support.produce import send
from tests.support.real_kafka import running_broker
from worker.errors import ExitCode

KILLS = 32
MESSAGES = 8_000
PARTITIONS = 3


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[str]:
    try:
        with running_broker(tmp_path / "kafka") as broker:
            yield broker.bootstrap
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_kills_at_random_moments_make_no_difference(seed: int, tmp_path: Path, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Small batches and a small checkpoint threshold, so that commits and checkpoints are hit; messages come in meanwhile."""
    random = Random(seed)
    stream = LiveStream(seed, MESSAGES, PARTITIONS)
    log = KafkaLog(bootstrap)
    for topic in stream.topics.values():
        log.create(topic, PARTITIONS)
    settings = {"batch.max_messages": 100, "store.checkpoint_threshold": "1MB", "time.reporting_time_zone": stream.time_zone}
    worker = WorkerProcess(tmp_path, bootstrap, stream.topics, **settings)
    messages = stream.sendable()
    kills = commits = 0
    try:
        while kills < KILLS:
            commits = len(worker.events("batch_committed"))
            worker.start()
            send(bootstrap, messages[len(messages) * kills // KILLS : len(messages) * (kills + 1) // KILLS])
            if random.random() < 0.8:
                worker.wait_for("batch_committed", commits + random.choice((1, 2)))
                time.sleep(random.uniform(0.0, 0.6))
            else:
                time.sleep(random.uniform(0.0, 3.0))
            worker.signal(signal.SIGKILL)
            assert worker.end() == -signal.SIGKILL
            kills += 1
        commits = len(worker.events("batch_committed"))
        assert worker.run("--exit-at-end") == ExitCode.OK, worker.said()[-3000:]
        faults = stream.faults(worker.file)
        verified = worker.ask("verify")
    finally:
        worker.close()
    with capsys.disabled():
        print(f"\nseed {seed}: {kills} kills, {commits} commits between them, {len(messages):,} messages, {len(faults)} differences")
    assert not faults, "\n".join(faults[:40])
    assert verified.returncode == ExitCode.OK, verified.stdout
    assert commits > KILLS
