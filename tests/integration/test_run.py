"""`tidemark run` as a process: signals, what is away, what others see of it."""

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from tests.support.java import free_ports
from tests.support.live import LiveStream, WorkerProcess
from tests.support.messages import Produced
from tests.support.mock_broker import PARTITIONS, mock_broker
from tests.support.produce import send
from worker.errors import ExitCode


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with mock_broker() as bootstrap:
        yield bootstrap


@pytest.fixture
def stream(seed: int, bootstrap: str) -> LiveStream:
    stream = LiveStream(seed, 600, PARTITIONS)
    send(bootstrap, stream.sendable())
    return stream


@pytest.fixture
def worker(tmp_path: Path, bootstrap: str, stream: LiveStream) -> Iterator[WorkerProcess]:
    """Batches of 50, so that a signal comes in the middle."""
    worker = WorkerProcess(tmp_path, bootstrap, stream.topics, batch__max_messages=50, time__reporting_time_zone=stream.time_zone)
    yield worker
    worker.close()


def get(worker: WorkerProcess, page: str) -> tuple[int, str]:
    url = worker.wait_for("worker_started")["url"]
    try:
        with urllib.request.urlopen(f"{url}{page}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_stop_drains_and_the_next_start_goes_on_whatever_ended_the_one_before(worker: WorkerProcess, stream: LiveStream) -> None:
    worker.start()
    worker.wait_for("batch_committed", 3)
    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK
    assert len(worker.events("worker_stopped")) == 1

    worker.start()
    worker.wait_for("batch_committed", len(worker.events("batch_committed")) + 2)
    worker.signal(signal.SIGTERM)
    worker.wait_for("stop_requested", 2)
    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.INTERRUPTED
    assert "Nothing is lost" in worker.said()

    assert worker.run("--exit-at-end") == ExitCode.OK
    assert not stream.faults(worker.file)
    commits = [int(str(event["commit_id"])) for event in worker.events("batch_committed")]
    assert commits == sorted(set(commits))


def test_a_running_worker_can_be_looked_at_and_asked(worker: WorkerProcess, stream: LiveStream) -> None:
    worker.start()
    worker.wait_for("batch_committed", 2)
    assert get(worker, "/healthz")[0] == 200
    assert get(worker, "/readyz")[0] == 200
    code, metrics = get(worker, "/metrics")
    assert (code, "tidemark_messages_total{" in metrics) == (200, True)
    code, status = get(worker, "/status")
    assert (code, json.loads(status)["reporting_time_zone"]) == (200, stream.time_zone)
    asked = worker.ask("query", "--json", "select sum(read) as read from accounting")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert 0 < int(json.loads(asked.stdout)["read"]) <= len(stream.messages)
    assert worker.ask("status").returncode == 0
    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK


def test_a_query_that_goes_on_does_not_hold_up_a_stop(worker: WorkerProcess) -> None:
    endless = "select sum(a.range * b.range) from range(10000000) a, range(10000000) b"
    worker.start()
    worker.wait_for("worker_started")
    with ThreadPoolExecutor() as threads:
        before = worker.cpu_seconds()
        asked = threads.submit(worker.ask, "query", endless)
        while worker.cpu_seconds() < before + 5:  # the stream is read in less: the rest is of the query
            assert not asked.done(), asked.result().stderr
            time.sleep(0.1)
        worker.signal(signal.SIGTERM)
        assert worker.end() == ExitCode.OK, worker.said()
        answer = asked.result()
    assert (answer.returncode, "the worker stops" in answer.stderr) == (ExitCode.UNAVAILABLE, True), answer.stderr


@pytest.mark.parametrize("away", ["broker", "registry"])
def test_what_is_away_is_waited_for_in_plain_sight(tmp_path: Path, bootstrap: str, away: str) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    send(bootstrap, [Produced("orders", b"\0\0\0\0\1")])
    settings = {"registry__url": f"http://{nobody}"} if away == "registry" else {}
    worker = WorkerProcess(tmp_path, nobody if away == "broker" else bootstrap, {"orders": "orders"}, **settings)
    worker.start()
    told = worker.wait_for("waiting_for_dependency")
    assert told["what_to_do"] == "tidemark doctor"
    code, ready = get(worker, "/readyz")
    assert (code, nobody in ready) == (503, True)
    status = json.loads(get(worker, "/status")[1])
    assert (status["state"], status["message"]) == ("unavailable", told["error"])
    assert get(worker, "/healthz")[0] == 200
    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        assert connection.execute("select coalesce(sum(read), 0) from accounting").fetchone() == (0,)


def test_mostly_rejected_messages_stop_it_and_nothing_of_the_last_batch_is_committed(tmp_path: Path, bootstrap: str) -> None:
    send(bootstrap, [Produced("orders", b"not of ours", partition_number=n % PARTITIONS) for n in range(12_000)])
    worker = WorkerProcess(tmp_path, bootstrap, {"orders": "orders"}, batch__max_messages=4_000)
    assert worker.run("--exit-at-end") == ExitCode.REJECTED
    assert "messages were rejected" in worker.said()
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        ((read,),) = connection.execute("select sum(read) from accounting").fetchall()
        assert read < 10_000
        assert connection.execute("select sum(next_offset) from position").fetchall() == [(read,)]
        assert connection.execute("select count(*) from rejected").fetchall() == [(read,)]
