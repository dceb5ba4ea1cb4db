"""A worker that is killed again and again while it reads a real Kafka, also with jobs, and has lost and repeated nothing in the end."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import duckdb
import pytest

from tests.simulation.archive import RandomArchive
from tests.support.java import NotHere
from tests.support.kafka_log import KafkaLog
from tests.support.live import LiveStream, WorkerProcess
from tests.support.produce import send
from tests.support.real_kafka import running_broker
from worker.errors import ExitCode

KILLS = 32
MESSAGES = 8_000
KILLS_OF_JOBS = 12
MESSAGES_OF_JOBS = 3_000
PARTITIONS = 3
ALL_DAYS = "1979-12-31..2100-01-01"  # the earliest event is of 1980, where that begins in its time zone
SETTINGS = {"batch.max_messages": 100, "store.checkpoint_threshold": "1MB"}  # so that commits and checkpoints are hit


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[str]:
    try:
        with running_broker(tmp_path / "kafka") as broker:
            yield broker.bootstrap
    except NotHere as reason:
        pytest.skip(str(reason))


def worker_on(directory: Path, bootstrap: str, stream: LiveStream) -> WorkerProcess:
    """On topics that are there, and empty."""
    log = KafkaLog(bootstrap)
    for topic in stream.topics.values():
        log.create(topic, PARTITIONS)
    return WorkerProcess(directory, bootstrap, stream.topics, **SETTINGS, **{"time.reporting_time_zone": stream.time_zone})


@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_kills_at_random_moments_make_no_difference(seed: int, tmp_path: Path, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages come in meanwhile."""
    random = Random(seed)
    stream = LiveStream(seed, MESSAGES, PARTITIONS)
    worker = worker_on(tmp_path, bootstrap, stream)
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


@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_kills_amid_jobs_make_no_difference(seed: int, tmp_path: Path, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay and a rebuild of all that was read, and a backfill of the whole stream, asked for when half of it has come."""
    random = Random(seed)
    stream = LiveStream(seed, MESSAGES_OF_JOBS, PARTITIONS, has_conflicts=False)
    RandomArchive(random, tmp_path / "archive", [m for m in stream.messages if m.value()], stream.topics, has_offsets=True)
    messages = stream.sendable()
    first, rest = messages[: len(messages) // 2], messages[len(messages) // 2 :]
    worker = worker_on(tmp_path, bootstrap, stream)
    try:
        send(bootstrap, first)
        assert worker.run("--exit-at-end") == ExitCode.OK, worker.said()[-3000:]
        worker.start()
        worker.wait_for("worker_started", 2)
        for job in (
            ["replay", "--rate", "100"],
            ["replay", "--rebuild-days", ALL_DAYS],
            ["backfill", "--from-archive", f"{tmp_path}/archive"],
        ):
            asked = worker.ask(*job, "--detach")
            assert asked.returncode == ExitCode.OK, asked.stderr
        for kill in range(KILLS_OF_JOBS):
            if kill:
                worker.start()
            send(bootstrap, rest[len(rest) * kill // KILLS_OF_JOBS : len(rest) * (kill + 1) // KILLS_OF_JOBS])
            worker.wait_for("batch_committed", len(worker.events("batch_committed")) + 1)
            time.sleep(random.uniform(0.0, 0.6))
            worker.signal(signal.SIGKILL)
            assert worker.end() == -signal.SIGKILL
        assert worker.run("--exit-at-end") == ExitCode.OK, worker.said()[-3000:]
        faults = stream.faults(worker.file)
        verified = worker.ask("verify")
        with duckdb.connect(str(worker.file), read_only=True) as connection:
            jobs = connection.execute("select kind, state, read from job order by id").fetchall()
    finally:
        worker.close()
    with capsys.disabled():
        print(f"\nseed {seed}: {KILLS_OF_JOBS} kills amid {jobs}, {len(messages):,} messages, {len(faults)} differences")
    assert not faults, "\n".join(faults[:40])
    assert verified.returncode == ExitCode.OK, verified.stdout
    assert [state for _, state, _ in jobs] == ["done"] * 3
    assert jobs[0][2] == len(first)
    assert len(worker.events("job_started")) > len(jobs), "no job was killed"
