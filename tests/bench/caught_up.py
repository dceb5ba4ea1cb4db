"""Caught up: messages come at a steady rate. How long until one is in the tables, and what CPU does the worker take, then and idle?"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from rich.table import Table

from tests.bench import record, topics
from tests.bench.data import Shop
from tests.bench.live import Commit, LiveWorker
from tests.bench.producer import ShopProducer
from tests.bench.workbench import Tables, Workbench
from worker.events import Partition

_SETTLE = 3.0  # seconds after the last commit until nothing happens any more


def caught_up(bench: Workbench, rate: float, seconds: float, warm_up: float, idle: float) -> None:
    """The scenario: what comes in the first `warm_up` seconds is not looked at."""
    measured = [_measured(bench, tables, rate, seconds, warm_up, idle) for tables in bench.tables(Tables.ALL)]
    table = Table(title=f"caught up at {rate:,.0f} messages/s for {seconds:.0f} s", title_justify="left")
    for column in measured[0]:
        table.add_column(column.replace("_", " "), justify="right")
    for row in measured:
        table.add_row(*(value if isinstance(value, str) else f"{value:,.2f}" for value in row.values()))
    bench.console.print(table)
    record.write(bench, "caught-up", (), {"seconds": seconds, "measured": measured})


def _measured(bench: Workbench, tables: Tables, rate: float, seconds: float, warm_up: float, idle: float) -> dict[str, float | str]:
    bootstrap, path = bench.broker.bootstrap, bench.directory / "live.duckdb"
    shop = Shop(replace(bench.options.shape, messages=round(rate * (warm_up + seconds)), days=1))
    names = topics.empty(bootstrap)
    producer = ShopProducer(bootstrap, names, shop)
    worker = LiveWorker(bench.settings(path, names, tables))
    worker.wait_until_reading()
    producer.send(round(rate * warm_up), rate)
    began, cpu, first = time.monotonic(), worker.cpu_seconds(), producer.ends
    took = producer.send(producer.left, rate)
    busy = (worker.cpu_seconds() - cpu) / (time.monotonic() - began)
    worker.wait_for(producer.ends)
    time.sleep(_SETTLE)
    began, cpu = time.monotonic(), worker.cpu_seconds()
    time.sleep(idle)
    idling = (worker.cpu_seconds() - cpu) / (time.monotonic() - began)
    worker.stop()
    shop.expected().check(path)
    path.unlink()
    after = latencies(producer.sent_at, worker.commits, first)
    commits = [commit.messages for commit in worker.commits if commit.messages]
    return {
        "tables": tables.value,
        "offered_per_second": len(after) / took,
        "median_seconds": float(np.median(after)),
        "p99_seconds": float(np.quantile(after, 0.99)),
        "most_seconds": float(after.max()),
        "cpu_percent": 100 * busy,
        "idle_cpu_percent": 100 * idling,
        "messages_a_commit": float(np.median(commits)),
    }


def latencies(
    sent_at: Mapping[Partition, Sequence[float]], commits: Sequence[Commit], first: Mapping[Partition, int]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds from sending to the end of the commit that holds it, of each message from the offsets `first` on."""
    found = []
    for partition, sent in sent_at.items():
        moved = [(commit.position[partition], commit.at) for commit in commits if partition in commit.position]
        ends, at = np.array([end for end, _ in moved]), np.array([moment for _, moment in moved])
        offsets = np.arange(first.get(partition, 0), len(sent))
        found.append(at[np.searchsorted(ends, offsets, side="right")] - np.array(sent)[offsets])
    return np.concatenate(found)
