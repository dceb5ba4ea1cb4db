"""`tidemark backfill`: files before the stream, after it and beside it come to the stream alone; killed ones go on; bad rows are told."""

import json
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.simulation.archive import RandomArchive
from tests.support.archives import AT, arrow_schema, touchpoint, write_parquet
from tests.support.live import LiveStream, WorkerProcess
from tests.support.messages import Produced, framed
from tests.support.mock_broker import PARTITIONS, mock_broker
from tests.support.produce import send
from worker.errors import ExitCode

MESSAGES = 500
A_DAY = 86_400_000_000  # micros
MANY = 700_000  # rows, of several commits


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with mock_broker() as bootstrap:
        yield bootstrap


@pytest.fixture
def stream(seed: int) -> LiveStream:
    return LiveStream(seed, MESSAGES, PARTITIONS, has_conflicts=False)


@pytest.fixture
def worker(tmp_path: Path, bootstrap: str, stream: LiveStream) -> Iterator[WorkerProcess]:
    """On a new file; nothing is sent yet."""
    worker = WorkerProcess(tmp_path, bootstrap, stream.topics, batch__max_messages=50, time__reporting_time_zone=stream.time_zone)
    yield worker
    worker.close()


@pytest.fixture
def archive(seed: int, tmp_path: Path, stream: LiveStream) -> RandomArchive:
    """Three of four messages, of those that a file can hold."""
    random = Random(seed)
    some = [message for message in stream.messages if message.value() is not None and random.random() < 0.75]
    return RandomArchive(random, tmp_path / "archive", some, stream.topics, has_offsets=random.random() < 0.5)


def backfill(worker: WorkerProcess, directory: Path, *options: str) -> None:
    asked = worker.ask("backfill", "--from-archive", str(directory), *options)
    assert asked.returncode == ExitCode.OK, asked.stderr


def query(worker: WorkerProcess, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def books(worker: WorkerProcess) -> tuple[int, int]:
    """Rows read and accepted."""
    ((read, accepted),) = query(worker, "select sum(read), sum(accepted) from accounting where origin = 'backfill'")
    return int(read), int(accepted)


def visits(directory: Path, *records: dict[str, Any]) -> Path:
    write_parquet(directory / "touchpoints.parquet", records, arrow_schema("touchpoints"))
    return directory


def test_a_backfill_and_then_the_stream_come_to_the_stream_alone(
    worker: WorkerProcess, bootstrap: str, stream: LiveStream, archive: RandomArchive, tmp_path: Path
) -> None:
    backfill(worker, tmp_path / "archive")
    assert books(worker)[0] == sum(map(len, archive.rows.values()))
    send(bootstrap, stream.sendable())
    assert worker.run("--exit-at-end") == ExitCode.OK
    assert not stream.faults(worker.file)
    assert worker.ask("verify").returncode == ExitCode.OK


def test_the_stream_and_then_a_backfill_come_to_the_stream_alone(
    worker: WorkerProcess, bootstrap: str, stream: LiveStream, archive: RandomArchive, tmp_path: Path
) -> None:
    send(bootstrap, stream.sendable())
    assert worker.run("--exit-at-end") == ExitCode.OK
    backfill(worker, tmp_path / "archive")
    assert not stream.faults(worker.file)
    assert books(worker) == (sum(map(len, archive.rows.values())), 0)


def test_a_backfill_beside_the_stream_comes_to_the_stream_alone(
    worker: WorkerProcess, bootstrap: str, stream: LiveStream, archive: RandomArchive, tmp_path: Path
) -> None:
    messages = stream.sendable()
    send(bootstrap, messages[:100])
    worker.start()
    worker.wait_for("worker_started")
    backfill(worker, tmp_path / "archive", "--detach")
    send(bootstrap, messages[100:])
    worker.wait_for("job_done")
    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK
    assert worker.run("--exit-at-end") == ExitCode.OK
    assert not stream.faults(worker.file)
    assert books(worker)[0] == sum(map(len, archive.rows.values()))


def test_a_backfill_that_was_killed_goes_on(worker: WorkerProcess, tmp_path: Path) -> None:
    numbers = pa.array(range(MANY))
    columns: dict[str, Any] = {
        "event_id": pc.binary_join_element_wise("e", numbers.cast(pa.string()), ""),
        "customer_id": pc.binary_join_element_wise("c", pc.divide(numbers, 7).cast(pa.string()), ""),
        "session_id": pa.repeat("s", MANY),
        "occurred_at": pc.add(AT, pc.multiply(numbers, 1_000_000)),
        "event_type": pa.repeat("page_view", MANY),
        "channel": pa.repeat("email", MANY),
    }
    (tmp_path / "archive").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "archive" / "touchpoints.parquet")
    assert worker.run("--exit-at-end") == ExitCode.OK  # of the topics, which are empty
    worker.start()
    worker.wait_for("worker_started", 2)
    commits = len(worker.events("batch_committed"))
    backfill(worker, tmp_path / "archive", "--detach")
    worker.wait_for("batch_committed", commits + 1)
    worker.signal(signal.SIGKILL)
    worker.end()
    ((state, done, read),) = query(worker, "select state, done, read from job")
    assert state == "running"
    assert 0 < done == read < MANY
    resumed = worker.ask("jobs", "resume", "1")
    assert resumed.returncode == ExitCode.OK, resumed.stderr
    assert books(worker) == (MANY, MANY)
    assert query(worker, "select count(*), count(distinct event_id) from touchpoint") == [(MANY, MANY)]
    assert worker.ask("verify").returncode == ExitCode.OK


def test_only_the_days_asked_for_come_in(worker: WorkerProcess, tmp_path: Path) -> None:
    records = [touchpoint(number, occurred_at=AT + number * A_DAY) for number in range(4)]
    backfill(worker, visits(tmp_path / "archive", *records), "--days", "2026-03-06..2026-03-07")
    assert query(worker, "select day from touchpoint order by day") == [(date(2026, 3, 6),), (date(2026, 3, 7),)]
    assert books(worker) == (2, 2)


def test_rows_that_are_no_events_are_rejected_with_file_and_row(worker: WorkerProcess, tmp_path: Path) -> None:
    archive = visits(tmp_path / "archive", touchpoint(1), touchpoint(2, session_id=""), touchpoint(3), touchpoint(4, event_id=None))
    backfill(worker, archive)
    told = worker.ask("dlq", "list", "--json")
    found = [json.loads(line) for line in told.stdout.splitlines()]
    file = str(archive / "touchpoints.parquet")
    assert sorted((row["file"], row["file_row"], row["reason"]) for row in found) == [(file, 1, "empty_id"), (file, 3, "malformed")]
    assert query(worker, "select read, accepted, rejected from accounting") == [(4, 2, 2)]
    assert worker.ask("verify").returncode == ExitCode.OK


def test_in_a_new_file_the_watermark_may_follow_and_where_there_is_a_live_position_it_may_not(
    worker: WorkerProcess, bootstrap: str, stream: LiveStream, tmp_path: Path
) -> None:
    archive = visits(tmp_path / "archive", touchpoint(1), touchpoint(2, occurred_at=AT + 5 * A_DAY))
    backfill(worker, archive)
    assert query(worker, "select is_open from day_state order by day") == [(True,), (True,)]
    backfill(worker, archive, "--advance-watermark")
    assert query(worker, "select is_open, revision from day_state order by day") == [(False, 1), (True, None)]
    send(bootstrap, [live_visit(stream, 3)])
    assert worker.run("--exit-at-end") == ExitCode.OK
    assert query(worker, "select is_open, revision from day_state order by day") == [(False, 2), (True, None)]
    refused = worker.ask("backfill", "--from-archive", str(archive), "--advance-watermark")
    assert refused.returncode != ExitCode.OK
    assert "the file has a live position" in refused.stderr
    assert "Leave out --advance-watermark" in refused.stderr


def test_sealed_days_are_refused_and_the_rest_comes_in_as_the_error_says(bootstrap: str, stream: LiveStream, tmp_path: Path) -> None:
    worker = WorkerProcess(tmp_path, bootstrap, stream.topics, retention__days=2)
    backfill(worker, visits(tmp_path / "first", touchpoint(1), touchpoint(2, occurred_at=AT + 8 * A_DAY)), "--advance-watermark")
    archive = visits(tmp_path / "second", touchpoint(3), touchpoint(4, occurred_at=AT + 8 * A_DAY))
    refused = worker.ask("backfill", "--from-archive", str(archive))
    assert refused.returncode != ExitCode.OK
    assert "the files hold events of sealed days (1): 2026-03-05 to 2026-03-05" in refused.stderr
    assert "Leave these out: --days 2026-03-10..DAY" in refused.stderr
    assert query(worker, "select count(*) from touchpoint") == [(1,)]
    backfill(worker, archive, "--days", "2026-03-10..2026-03-31")
    assert query(worker, "select count(*) from touchpoint") == [(2,)]
    assert query(worker, "select count(*) from expired") == [(0,)]


def live_visit(stream: LiveStream, number: int) -> Produced:
    """On the first day of AT."""
    record = {"event_id": f"e{number}", "session_id": "s1", "occurred_at": AT + number, "event_type": "page_view", "channel": "email"}
    return Produced(stream.topics["touchpoints"], framed(2, record), b"key", timestamp_ms=AT // 1000)
