"""`tidemark dlq` beside a running worker, through its admin socket."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.live import LiveStream, WorkerProcess
from tests.support.messages import WRITER_SCHEMAS, WRITERS_OF, guid_of
from tests.support.mock_broker import PARTITIONS, mock_broker
from tests.support.produce import send
from worker.errors import ExitCode

MESSAGES = 400


@pytest.fixture
def stream(seed: int) -> LiveStream:
    return LiveStream(seed, MESSAGES, PARTITIONS)


@pytest.fixture
def worker(tmp_path: Path, stream: LiveStream) -> Iterator[WorkerProcess]:
    """It runs, has read all but the last 100 messages, and rejected the orders: what was registered as their schemas is none."""
    with mock_broker() as bootstrap:
        send(bootstrap, stream.sendable()[:-100])
        worker = WorkerProcess(tmp_path, bootstrap, stream.topics, batch__max_messages=50, time__reporting_time_zone=stream.time_zone)
        for path in order_schemas(tmp_path):
            path.write_text("{}")
        assert worker.run("--exit-at-end") == ExitCode.OK
        worker.start()
        worker.wait_for("worker_started", 2)
        send(bootstrap, stream.sendable()[-100:])
        yield worker
        worker.close()


def order_schemas(directory: Path) -> list[Path]:
    return [directory / f"{ref}.avsc" for number in WRITERS_OF["orders"] for ref in (number, guid_of(number))]


def mend(directory: Path) -> None:
    for path in order_schemas(directory):
        path.write_text(json.dumps(WRITER_SCHEMAS[path.stem] if "-" in path.stem else WRITER_SCHEMAS[int(path.stem)]))


def asked(worker: WorkerProcess, *arguments: str) -> str:
    ended = worker.ask(*arguments)
    assert ended.returncode == ExitCode.OK, ended.stderr
    return ended.stdout


def listed(worker: WorkerProcess, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in asked(worker, "dlq", "list", "--json", "--limit", "1000", *options).splitlines()]


def test_what_was_rejected_is_mended_or_dropped_beside_the_live_stream(worker: WorkerProcess, stream: LiveStream, tmp_path: Path) -> None:
    refused = listed(worker, "--reason", "refused_schema")
    assert len(refused) > 20
    assert "{}" in asked(worker, "dlq", "show", str(refused[0]["id"]))
    mend(tmp_path)
    told = asked(worker, "dlq", "replay", "--reason", "refused_schema")
    came_in = int(told.splitlines()[-1].split()[0])
    assert 20 < came_in <= len(refused) + 100

    garbage, *rest = [row["id"] for row in listed(worker) if row["reason"] != "refused_schema"]
    unsure = worker.ask("dlq", "drop", str(garbage))
    assert (unsure.returncode, "--yes" in unsure.stderr) == (ExitCode.USAGE, True)
    assert asked(worker, "dlq", "drop", str(garbage), "--yes").splitlines()[-1] == "messages dropped: 1"

    worker.signal(signal.SIGTERM)
    assert worker.end() == ExitCode.OK
    asked(worker, "dlq", "replay", "--reason", "refused_schema")  # those that came since: the running worker knew the schemas as they were
    assert worker.run("--exit-at-end") == ExitCode.OK
    left = {row["id"]: row for row in listed(worker)}
    assert garbage not in left
    assert left.keys() >= set(rest)
    assert "refused_schema" not in {row["reason"] for row in left.values()}
    assert [fault for fault in stream.faults(worker.file) if not fault.startswith("accounting")] == []
    with duckdb.connect(str(worker.file), read_only=True) as connection:
        unbalanced = "from accounting where read <> accepted + duplicate + superseded + rejected + expired"
        assert connection.execute(unbalanced).fetchall() == []
        ((taken_up,),) = connection.execute("select sum(read) from accounting where origin = 'dlq'").fetchall()
        assert taken_up >= len(refused)
