"""Marts beside a running worker: refreshed without being asked, and when asked; whatever becomes of them, the worker goes on."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.support.live import PATIENCE, LiveStream, WorkerProcess
from tests.support.mock_broker import PARTITIONS, mock_broker
from tests.support.produce import send
from worker.errors import ExitCode
from worker.marts.definition import built_in

BROKEN = """\
-- broken: a mart that can't be computed.
-- grain: (order_id)   reads: order_current
/*
priority = 0
[columns]
order_id = { about = "an order" }
*/
select cast(cast('broken' as integer) as varchar) as order_id from order_current
"""


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with mock_broker() as bootstrap:
        yield bootstrap


@pytest.fixture
def stream(seed: int, bootstrap: str) -> LiveStream:
    stream = LiveStream(seed, 400, PARTITIONS)
    send(bootstrap, stream.sendable())
    return stream


@pytest.fixture
def worker(tmp_path: Path, bootstrap: str, stream: LiveStream) -> Iterator[WorkerProcess]:
    own = tmp_path / "marts"
    own.mkdir()
    (own / "broken.sql").write_text(BROKEN)
    worker = WorkerProcess(tmp_path, bootstrap, stream.topics, time__reporting_time_zone=stream.time_zone, marts__directory=own)
    yield worker
    worker.close()


def test_marts_are_refreshed_beside_the_stream_and_when_asked(worker: WorkerProcess, stream: LiveStream) -> None:
    worker.start()
    worker.wait_for("mart_refreshed", len(built_in()))
    listed = {row["mart"]: row for row in map(json.loads, worker.ask("marts", "list", "--json").stdout.splitlines())}
    assert {row["state"] for name, row in listed.items() if name != "broken"} == {"done"}
    assert (listed["broken"]["state"], listed["broken"]["as_of"]) == ("failed", None)

    asked = worker.ask("marts", "refresh", "customer_overview", "--full", "--json")
    assert asked.returncode == 0
    assert json.loads(asked.stdout.splitlines()[-1])["reason"] in ("", "asked")
    assert worker.ask("marts", "refresh", "broken").returncode == ExitCode.FAILED
    deadline = time.monotonic() + PATIENCE  # the status is a snapshot, taken less often on a busy machine
    while {mart["mart"] for mart in json.loads(worker.ask("status", "--json").stdout)["marts"]} != listed.keys():
        assert time.monotonic() < deadline
    advice = [json.loads(line) for line in worker.ask("marts", "advise", "--json").stdout.splitlines()]
    assert [(found["mart"], found["finding"]) for found in advice if found["finding"] == "failing"] == [("broken", "failing")]

    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK
    assert not stream.faults(worker.file)
    assert "marts_failed" not in worker.said()


def test_without_a_worker_marts_are_refreshed_by_the_command(worker: WorkerProcess) -> None:
    assert worker.run("--exit-at-end") == ExitCode.OK
    asked = worker.ask("marts", "refresh", "funnel", "sales_trend")
    assert (asked.returncode, len(asked.stdout.splitlines())) == (0, 2)
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        assert connection.execute("select distinct mart from mart_state where mart in ('funnel', 'sales_trend') order by 1").fetchall() == [
            ("funnel",),
            ("sales_trend",),
        ]


def test_a_mart_whose_file_is_gone_is_dropped_by_the_worker(worker: WorkerProcess, tmp_path: Path) -> None:
    own = tmp_path / "marts" / "broken.sql"
    own.write_text(BROKEN.replace("cast(cast('broken' as integer) as varchar) as ", ""))
    assert worker.run("--exit-at-end") == ExitCode.OK
    assert worker.ask("marts", "refresh", "broken").returncode == ExitCode.OK
    own.unlink()
    worker.start()
    worker.wait_for("worker_started", 2)
    assert gone(worker) == ["broken"]
    assert worker.ask("marts", "drop", "broken").returncode == ExitCode.OK
    assert gone(worker) == []
    assert worker.ask("query", "from broken").returncode != ExitCode.OK


def gone(worker: WorkerProcess) -> list[str]:
    listed = map(json.loads, worker.ask("marts", "list", "--json").stdout.splitlines())
    return [row["mart"] for row in listed if row["state"] == "gone"]
