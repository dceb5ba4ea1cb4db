"""`tidemark replay`, alone and through a running worker: what is there stays, what was missed is added, and a kill loses nothing."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.live import LiveStream, WorkerProcess
from tests.support.mock_broker import PARTITIONS, mock_broker
from tests.support.produce import send
from worker.errors import ExitCode

MESSAGES = 600


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with mock_broker() as bootstrap:
        yield bootstrap


@pytest.fixture
def stream(seed: int, bootstrap: str) -> LiveStream:
    stream = LiveStream(seed, MESSAGES, PARTITIONS)
    send(bootstrap, stream.sendable())
    return stream


@pytest.fixture
def worker(tmp_path: Path, bootstrap: str, stream: LiveStream) -> Iterator[WorkerProcess]:
    """It has read the stream to its end."""
    worker = WorkerProcess(tmp_path, bootstrap, stream.topics, batch__max_messages=50, time__reporting_time_zone=stream.time_zone)
    assert worker.run("--exit-at-end") == ExitCode.OK
    yield worker
    worker.close()


def change(worker: WorkerProcess, *statements: str) -> None:
    with duckdb.connect(str(worker.file)) as connection:
        for statement in statements:
            connection.execute(statement)


def start(worker: WorkerProcess) -> None:
    """Once more, after the run to the stream's end."""
    worker.start()
    worker.wait_for("worker_started", 2)


LOST = {
    "touchpoint": "delete from touchpoint where hash(event_id) % 3 = 0",
    "order": "delete from order_current where hash(order_id) % 3 = 0",
}


def lose_some_rows(worker: WorkerProcess, *of: str) -> None:
    """As if messages had been missed: rows are gone, and the tables are what the other rows give."""
    change(worker, *(LOST[name] for name in of or LOST))
    assert worker.ask("verify", "--repair").returncode in {ExitCode.OK, ExitCode.DIFFERENCES}
    assert worker.ask("verify").returncode == ExitCode.OK


def books(worker: WorkerProcess) -> dict[str, int]:
    """Of the replays, all streams together."""
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        found = connection.execute(
            "select sum(read), sum(accepted), sum(rejected), sum(expired) from accounting where origin = 'replay'"
        ).fetchone()
    assert found is not None
    return dict(zip(("read", "accepted", "rejected", "expired"), map(int, found), strict=True))


def jobs(worker: WorkerProcess) -> list[dict[str, Any]]:
    """Newest first."""
    asked = worker.ask("jobs", "list", "--json")
    assert asked.returncode == ExitCode.OK, asked.stderr
    return [json.loads(line) for line in asked.stdout.splitlines()]


def test_a_replay_of_all_changes_nothing_where_nothing_was_missed(worker: WorkerProcess, stream: LiveStream) -> None:
    asked = worker.ask("replay")
    assert asked.returncode == ExitCode.OK, asked.stderr
    assert not stream.faults(worker.file)
    told = books(worker)
    assert (told["read"], told["accepted"]) == (len(stream.messages), 0)
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        assert connection.execute("select count(*) from ledger where reason = 'replay'").fetchone() == (0,)
        assert connection.execute('select count(*) = count(distinct (topic, partition, "offset")) from rejected').fetchone() == (True,)


def test_a_replay_brings_what_was_missed(worker: WorkerProcess, stream: LiveStream) -> None:
    lose_some_rows(worker)
    assert stream.faults(worker.file)
    asked = worker.ask("replay")
    assert asked.returncode == ExitCode.OK, asked.stderr
    assert not stream.faults(worker.file)
    assert books(worker)["accepted"] > 0
    (job,) = jobs(worker)
    assert (job["state"], job["read"], job["done"]) == ("done", len(stream.messages), job["total"])


def test_a_replay_reads_only_what_was_asked_for(worker: WorkerProcess, stream: LiveStream) -> None:
    asked = worker.ask("replay", "--topic", stream.topics["orders"], "--partition", "0", "--from", "3", "--to", "8")
    assert asked.returncode == ExitCode.OK, asked.stderr
    assert books(worker)["read"] == 5


def test_a_range_that_the_log_does_not_have_is_refused(worker: WorkerProcess, stream: LiveStream) -> None:
    asked = worker.ask("replay", "--topic", "nobody")
    assert (asked.returncode, "not among kafka.topics" in asked.stderr) == (ExitCode.USAGE, True)
    assert not stream.faults(worker.file)


def test_beside_a_running_worker_the_worker_replays_and_the_live_stream_goes_on(tmp_path: Path, bootstrap: str, seed: int) -> None:
    stream = LiveStream(seed, MESSAGES, PARTITIONS)
    first, rest = stream.sendable()[:400], stream.sendable()[400:]
    send(bootstrap, first)
    worker = WorkerProcess(tmp_path, bootstrap, stream.topics, batch__max_messages=50, time__reporting_time_zone=stream.time_zone)
    assert worker.run("--exit-at-end") == ExitCode.OK
    lose_some_rows(worker, "order")  # of two touchpoints with one id and other contents, the live stream might bring the second one first
    start(worker)
    assert worker.ask("replay", "--rate", "200", "--detach").returncode == ExitCode.OK
    send(bootstrap, rest)
    asked = worker.ask("replay")
    assert asked.returncode == ExitCode.OK, asked.stderr
    assert [job["state"] for job in jobs(worker)] == ["done", "done"]
    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK
    assert worker.run("--exit-at-end") == ExitCode.OK
    assert not stream.faults(worker.file)


def test_a_replay_that_was_killed_goes_on_when_the_worker_starts_again(worker: WorkerProcess, stream: LiveStream) -> None:
    lose_some_rows(worker)
    start(worker)
    assert worker.ask("replay", "--rate", "200", "--detach").returncode == ExitCode.OK
    worker.wait_for("job_started")
    worker.wait_for("batch_committed", len(worker.events("batch_committed")) + 2)
    worker.signal(signal.SIGKILL)
    worker.end()
    (job,) = jobs(worker)
    assert job["state"] == "running"
    assert 0 < job["done"] < job["total"]
    resumed = worker.ask("jobs", "resume", str(job["id"]))
    assert resumed.returncode == ExitCode.OK, resumed.stderr
    assert not stream.faults(worker.file)
    assert books(worker)["read"] == len(stream.messages)


def test_a_replay_can_be_cancelled(worker: WorkerProcess) -> None:
    start(worker)
    assert worker.ask("replay", "--rate", "10", "--detach").returncode == ExitCode.OK
    worker.wait_for("job_started")
    cancelled = worker.ask("jobs", "cancel", "1")
    assert cancelled.returncode == ExitCode.OK, cancelled.stderr
    assert jobs(worker)[0]["state"] == "cancelled"
    assert worker.ask("jobs", "cancel", "1").returncode == ExitCode.USAGE
    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK


def test_a_dry_run_says_what_would_change_and_writes_nothing(worker: WorkerProcess) -> None:
    assert "nothing would change" in worker.ask("replay", "--dry-run").stdout
    lose_some_rows(worker)
    held = worker.file.read_bytes()
    dry = worker.ask("replay", "--dry-run")
    assert dry.returncode == ExitCode.OK, dry.stderr
    assert worker.file.read_bytes() == held
    would_come = {
        (day, table): int(count) for day, table, count in re.findall(r"^(\d{4}-\d\d-\d\d) +(\w+) +\d+ +(\d+) *$", dry.stdout, re.M)
    }
    rows = "select day, count(*) from touchpoint group by day"
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        before = dict(connection.execute(rows).fetchall())
    assert worker.ask("replay").returncode == ExitCode.OK
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        after = dict(connection.execute(rows).fetchall())
    came = {day: after[day] - before.get(day, 0) for day in after if after[day] != before.get(day, 0)}
    assert {day: count for (day, table), count in would_come.items() if table == "touchpoint"} == {
        str(day): count for day, count in came.items()
    }
    assert not list(worker.file.parent.glob("*dry-run*"))


def test_days_are_rebuilt_from_the_log(worker: WorkerProcess, stream: LiveStream) -> None:
    change(
        worker, "delete from touchpoint where hash(event_id) % 3 = 0", "update order_current set net_cents = 1", "delete from daily_sales"
    )
    asked = worker.ask("replay", "--rebuild-days", "1979-12-31..2100-01-01")
    assert asked.returncode == ExitCode.OK, asked.stderr
    assert not stream.faults(worker.file)
    assert worker.ask("verify").returncode == ExitCode.OK
