"""A file with history that a worker has gone on with: how long from start to first commit, after a stop and after a kill; how long verify
takes, and how much space the tables.
"""

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from rich.table import Table

from tests.bench import record, topics
from tests.bench.data import Shop
from tests.bench.history import before, made
from tests.bench.live import LiveWorker
from tests.bench.process import tidemark
from tests.bench.producer import ShopProducer
from tests.bench.report import MIB
from tests.bench.workbench import Json, Tables, Workbench
from worker.events import Partition
from worker.store.layout import TableSpace, space

MESSAGES = 1_000_000

_FILLING: Json = {"batch": {"max_messages": 5_000}}  # commits that fill no row group: their rows all go through the write-ahead log
_SLICES = 10  # in which a run's messages are sent, until the write-ahead log is large enough
_TELLING = 20 * MIB  # of write-ahead log; less is lost in the noise
_SMALL = 1_000  # rows; blocks of tables with fewer tell nothing


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until the log was taken up, until the first commit, and of CPU until then; the write-ahead log that it found."""

    after: str
    wal_bytes: int
    reading_seconds: float
    commit_seconds: float
    cpu_seconds: float


def restart(bench: Workbench, rows: int, days: int, kept: Path | None, wal_mib: float, waiting: int) -> None:
    """The scenario. `waiting`: messages that came while the worker was away; the write-ahead log is of `wal_mib` if they last."""
    results = {}
    for tables in bench.tables(*Tables):
        past = made(bench, before(bench.options.shape, rows, days), tables, kept)
        path = bench.directory / "restart.duckdb"
        shutil.copyfile(past.file, path)
        shop, names = Shop(bench.shape(MESSAGES)), topics.empty(bench.broker.bootstrap)
        settings, filling = bench.settings(path, names, tables), bench.settings(path, names, tables, _FILLING)
        producer = ShopProducer(bench.broker.bootstrap, names, shop)
        starts = _starts(bench, settings, filling, producer, Path(f"{path}.wal"), wal_mib, waiting)
        (past.expected + shop.expected()).check(path)
        _show_starts(bench, tables, starts)
        results[tables.value] = {"rows": rows, "starts": [asdict(start) for start in starts]} | _at_rest(bench, tables, settings, path)
        path.unlink()
    record.write(bench, "restart", (), results)


def _starts(
    bench: Workbench, settings: Json, filling: Json, producer: ShopProducer, wal: Path, wal_mib: float, waiting: int
) -> list[Start]:
    """Of each run one after a kill and one after a stop. `filling`: settings of the worker that is killed. In the end all messages were
    read, and the worker was stopped.
    """
    starts: list[Start] = []
    share = producer.left // bench.options.runs
    position: Mapping[Partition, int] = {}
    for _ in range(bench.options.runs):
        worker = LiveWorker(filling, position)
        left = producer.left - share + 2 * waiting
        while producer.left > left and _size(wal) < wal_mib * MIB:
            producer.send(min(max(share // _SLICES, 1), producer.left - left))
            worker.wait_for(producer.ends)
        wal_bytes = _size(wal)
        worker.kill()
        for after in ("kill", "stop"):
            producer.send(waiting)
            worker = LiveWorker(settings, worker.position)
            starts.append(_started(worker, producer, after, wal_bytes))
            worker.stop()
            wal_bytes = _size(wal)
        position = worker.position
    worker = LiveWorker(settings, position)
    producer.send(producer.left)
    worker.wait_for(producer.ends)
    worker.stop()
    return starts


def _started(worker: LiveWorker, producer: ShopProducer, after: str, wal_bytes: int) -> Start:
    worker.wait(lambda worker: worker.first_commit is not None)
    cpu_seconds = worker.cpu_seconds()
    assert worker.reading_at is not None
    assert worker.first_commit is not None
    start = Start(after, wal_bytes, worker.reading_at - worker.started, worker.first_commit.at - worker.started, cpu_seconds)
    worker.wait_for(producer.ends)
    return start


def _size(wal: Path) -> int:
    """0 where there is none, which a checkpoint may bring about at any time."""
    try:
        return wal.stat().st_size
    except FileNotFoundError:
        return 0


def _show_starts(bench: Workbench, tables: Tables, starts: list[Start]) -> None:
    table = Table(title=f"start to first commit, {tables} tables", title_justify="left")
    for column in ("after a", "write-ahead log, MiB", "s to reading", "s to first commit", "CPU s"):
        table.add_column(column, justify="right")
    for start in starts:
        seconds = (start.reading_seconds, start.commit_seconds, start.cpu_seconds)
        table.add_row(start.after, f"{start.wal_bytes / MIB:.1f}", *(f"{each:.2f}" for each in seconds))
    bench.console.print(table)
    stops = [start for start in starts if start.after == "stop"]
    usual, usual_cpu = median(start.commit_seconds for start in stops), median(start.cpu_seconds for start in stops)
    for start in starts:
        if start.after == "kill" and start.wal_bytes >= _TELLING:
            size = start.wal_bytes / 1e8
            longer, more = (start.commit_seconds - usual) / size, (start.cpu_seconds - usual_cpu) / size
            each = "s for each 100 MB of write-ahead log"
            bench.console.print(f"after a kill {longer:+.2f} {each} ({more:+.2f} of CPU), beside the {usual:.2f} s after a stop")


def _at_rest(bench: Workbench, tables: Tables, settings: Json, path: Path) -> dict[str, Any]:
    """What verify and compact take, and the space of the tables before and after the latter."""
    verified = tidemark(settings, "verify")
    bench.console.print(f"verify, {tables} tables: {verified.wall:.1f} s, at most {verified.peak_rss / MIB:,.0f} MiB")
    as_it_came = _spaces(path)
    compacted = tidemark(settings, "compact")
    rewritten = _spaces(path)
    table = Table(title=f"space, {tables} tables; compact took {compacted.wall:.1f} s", title_justify="left")
    for column in ("table", "rows", "bytes a row", "compacted"):
        table.add_column(column, justify="left" if column == "table" else "right")
    for name, each in as_it_came.items():
        table.add_row(name, f"{each.rows:,}", *(f"{some[name].bytes / some[name].rows:.1f}" for some in (as_it_came, rewritten)))
    bench.console.print(table)
    spaces = {"bytes": as_it_came, "bytes_compacted": rewritten}
    return {
        "verify": verified.figures(),
        "compact": compacted.figures(),
        "bytes_a_row": {name: {when: some[name].bytes_per_row for when, some in spaces.items()} for name in as_it_came},
    }


def _spaces(path: Path) -> dict[str, TableSpace]:
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        return {each.table: each for each in space(connection).tables if each.rows >= _SMALL}
