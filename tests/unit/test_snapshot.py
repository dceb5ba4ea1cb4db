"""A snapshot: many tables as of one commit, through the socket of a worker that commits on; what is cut off or lost is no snapshot."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from tests.support.copies import ended, filled, serving
from tests.support.worker import Worker, order, touch
from worker.errors import ExitCode, StoreError, TidemarkError, Unavailable
from worker.serve import admin, snapshot
from worker.serve.admin import AdminServer, ask_snapshot
from worker.serve.snapshot import Head, Snapshot, Wanted
from worker.store.backup import Definitions, TableRows

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = filled(tmp_path)
    yield worker
    worker.close()


def test_what_the_worker_commits_meanwhile_is_not_in_the_copy(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_ROWS_AT_ONCE", 2)
    monkeypatch.setattr(snapshot, "_PIECE_ROWS", 1)
    before = {name: len(worker.rows(name)) for name in ("touchpoint", "order_current", "daily_reach")}
    with serving(worker), closing(ask_snapshot(worker.settings.admin_socket, Wanted(tables=tuple(before)))) as taken:
        worker.feed(touch("c1", "2026-03-12"), touch("c1", "2026-03-20", channel="paid"), order("order-new", "2026-03-09"))
        received = {table.name: list(table.batches) for table in taken.tables}
    assert {name: sum(batch.num_rows for batch in batches) for name, batches in received.items()} == before
    assert {batch.num_rows for batches in received.values() for batch in batches} == {1}
    days = [batch["day"][0].as_py() for batch in received["touchpoint"]]
    assert days == sorted(days)
    assert len(worker.rows("touchpoint")) == before["touchpoint"] + 2


def test_a_piece_has_few_days_for_an_export_writes_a_file_of_each_while_the_worker_waits(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_DAYS_AT_ONCE", 2)
    with serving(worker), closing(ask_snapshot(worker.settings.admin_socket, Wanted(tables=("daily_users",)))) as taken:
        pieces = [batch["day"].unique().to_pylist() for table in taken.tables for batch in table.batches]
    days = [day for (day,) in worker.query("select day from daily_users order by day")]
    assert [str(day) for piece in pieces for day in piece] == days
    assert max(len(piece) for piece in pieces) == 2


def test_a_piece_that_is_left_out_is_missed(worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_ROWS_AT_ONCE", 1)
    whole = snapshot._pieces
    monkeypatch.setattr(snapshot, "_pieces", lambda *arguments: list(whole(*arguments))[1:])
    with serving(worker), pytest.raises(StoreError, match=r"of table daily_reach \d+ rows were read, and there are \d+"):
        drain(ask_snapshot(worker.settings.admin_socket, Wanted(tables=("daily_reach",))))


def test_an_error_while_tables_are_read_comes_over_as_itself(worker: Worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worker.tamper("update daily_sales set net_cents = 170141183460469231731687303715884105727")
    with serving(worker):
        assert ended("export", str(tmp_path / "out"), path=worker.settings.store.path) == ExitCode.STORE
    assert "table daily_sales can't be exported" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir() if "creating" in path.name] == []


def test_a_client_that_stalls_does_not_hold_the_transaction_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin._Handler, "timeout", 0.05)
    was_closed = threading.Event()
    with AdminServer(tmp_path / "socket", {"tables": lambda _: endless(was_closed)}):
        taken = ask_snapshot(tmp_path / "socket", Wanted())
        assert was_closed.wait(60)
        with pytest.raises(Unavailable, match="hung up"):
            drain(taken)
        taken.close()


def test_a_client_that_goes_away_ends_the_transaction(tmp_path: Path) -> None:
    was_closed = threading.Event()
    with AdminServer(tmp_path / "socket", {"tables": lambda _: endless(was_closed)}):
        ask_snapshot(tmp_path / "socket", Wanted()).close()
        assert was_closed.wait(60)


def test_who_takes_a_snapshot_when_the_worker_stops_is_told_so(tmp_path: Path) -> None:
    was_closed = threading.Event()
    with AdminServer(tmp_path / "socket", {"tables": lambda _: endless(was_closed)}) as server, ThreadPoolExecutor() as threads:
        draining = threads.submit(drain, ask_snapshot(tmp_path / "socket", Wanted()))
        server.close()
        assert was_closed.is_set()
        with pytest.raises(Unavailable, match="the worker stops"):
            draining.result()


def test_a_client_that_stalls_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_ENDING_SECONDS", 0.05)
    was_closed = threading.Event()
    with AdminServer(tmp_path / "socket", {"tables": lambda _: endless(was_closed)}) as server:
        taken = ask_snapshot(tmp_path / "socket", Wanted())
        server.close()
        assert was_closed.is_set()
        with pytest.raises(Unavailable, match=r"the worker stops|hung up"):  # as the sending or the end was first
            drain(taken)
        taken.close()


def test_a_snapshot_that_is_cut_off_is_no_snapshot(worker: Worker, tmp_path: Path) -> None:
    """At whichever byte."""
    with serving(worker), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(worker.settings.admin_socket))
        connection.sendall(json.dumps({"operation": "tables", "arguments": {"tables": ["daily_reach", "product"]}}).encode() + b"\n")
        whole = b"".join(iter(lambda: connection.recv(65_536), b""))
    random = Random(1)
    for length in [*random.sample(range(len(whole)), 40), len(whole) - 1]:
        with stranger(tmp_path / "socket", whole[:length]), pytest.raises(TidemarkError, match="hung up"):
            drain(ask_snapshot(tmp_path / "socket", Wanted()))
    with stranger(tmp_path / "socket", whole):
        assert drain(ask_snapshot(tmp_path / "socket", Wanted())) == ["daily_reach", "product"]


def test_rows_that_are_lost_on_the_way_are_missed(tmp_path: Path) -> None:
    head = f'{{"result": {_head().model_dump_json()}}}\n'.encode()
    answer = head + b'{"sums": {"touchpoint": {"rows": 1, "checksum": "0"}}}\n'
    with stranger(tmp_path / "socket", answer), pytest.raises(Unavailable, match="what came is not what the worker sent"):
        drain(ask_snapshot(tmp_path / "socket", Wanted()))


@pytest.mark.parametrize("arguments", [{"tables": ["touchpoint; drop table touchpoint"]}, {"tables": ["no_such"]}, {"first": "soon"}])
def test_a_snapshot_of_what_is_not_there_is_refused(worker: Worker, arguments: Mapping[str, Any]) -> None:
    with serving(worker), pytest.raises(TidemarkError) as refused:
        admin.ask(worker.settings.admin_socket, "tables", arguments)
    assert refused.value.exit_code is ExitCode.USAGE


def drain(taken: Snapshot) -> list[str]:
    with closing(taken):
        return [table.name for table in taken.tables for _ in [list(table.batches)]]


def endless(was_closed: threading.Event) -> Snapshot:
    """More rows than anybody reads."""
    rows = pa.record_batch({"n": pa.array(range(100_000)), "row_hash": pa.array(range(100_000), pa.uint64())})
    tables = iter([TableRows("numbers", rows.schema, iter(lambda: rows, None))])
    return Snapshot(_head(), tables, {}, was_closed.set)


def _head() -> Head:
    facts = dict.fromkeys(("committed_at", "watermark", "closed_before", "sealed_before"))
    names = dict.fromkeys(("tidemark_version", "duckdb_version", "reporting_time_zone", "reporting_currency"), "")
    made_by = Definitions(sequences={}, tables=[], views=[])
    return Head.model_validate({**facts, **names, "commit_id": 0, "days": [], "definitions": made_by})


class stranger:  # noqa: N801 (reads as a function)
    """Answers one request with those bytes, and hangs up."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self.path, self.answer = path, answer

    def __enter__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen()
        self.thread = threading.Thread(target=self._reply, daemon=True)
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.socket.close()
        self.path.unlink()

    def _reply(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(self.answer)
