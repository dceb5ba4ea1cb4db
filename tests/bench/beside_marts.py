"""How long a message waits for its commit while all marts are refreshed in full, over and over, beside it; and while none is."""

import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tests.bench import record, topics
from tests.bench.caught_up import latencies
from tests.bench.data import Shop
from tests.bench.history import History, before, made
from tests.bench.live import LiveWorker
from tests.bench.producer import ShopProducer
from tests.bench.workbench import Tables, Workbench
from worker.config import Settings
from worker.errors import TidemarkError
from worker.serve.admin import ask

_LONGEST = 3_600.0  # seconds of one mart


def beside_marts(bench: Workbench, rate: float, seconds: float, warm_up: float, rows: int, days: int, kept: Path | None) -> None:
    """The scenario: a file with history, and then `rate` messages a second for so long. What comes in `warm_up` is not looked at."""
    past = made(bench, before(bench.options.shape, rows, days), Tables.ALL, kept)
    table = Table(title=f"{rate:,.0f} messages/s into {past.rows:,} rows of history", title_justify="left")
    for column in ("marts", "refreshes", "failed", "offered /s", "median s", "p99 s", "most s", "over 2 s"):
        table.add_column(column, justify="right")
    measured = {name: _measured(bench, past, rate, seconds, warm_up, with_marts=name == "refreshed") for name in ("none", "refreshed")}
    for name, found in measured.items():
        table.add_row(name, *(f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" for value in found.values()))
    bench.console.print(table)
    record.write(bench, "beside-marts", (), {"seconds": seconds, "rows": past.rows, "measured": measured})


def _measured(
    bench: Workbench, past: History, rate: float, seconds: float, warm_up: float, *, with_marts: bool
) -> Mapping[str, float | int]:
    bootstrap, path = bench.broker.bootstrap, bench.directory / "beside-marts.duckdb"
    shutil.copyfile(past.file, path)
    shop = Shop(replace(bench.options.shape, messages=round(rate * (warm_up + seconds)), days=1))
    names = topics.empty(bootstrap)
    producer = ShopProducer(bootstrap, names, shop)
    settings = bench.settings(path, names, Tables.ALL, {"marts": {"enabled": False}})
    worker = LiveWorker(settings)
    worker.wait_until_reading()
    marts = _Refreshing(settings) if with_marts else None
    producer.send(round(rate * warm_up), rate)
    first = producer.ends
    took = producer.send(producer.left, rate)
    worker.wait_for(producer.ends)
    if marts:
        marts.ends.set()
    worker.stop()
    if marts:
        marts.join()
    (past.expected + shop.expected()).check(path)
    path.unlink()
    after = latencies(producer.sent_at, worker.commits, first)
    return {
        "refreshes": marts.done if marts else 0,
        "failed": marts.failed if marts else 0,
        "offered_per_second": len(after) / took,
        "median_seconds": float(np.median(after)),
        "p99_seconds": float(np.quantile(after, 0.99)),
        "most_seconds": float(after.max()),
        "over_2_seconds": int((after > 2).sum()),
    }


class _Refreshing(threading.Thread):
    """Asks the worker for a full refresh of each mart in turn, and again, until `ends` is set or the worker stops."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(daemon=True)
        self.ends = threading.Event()
        self.done = self.failed = 0
        self._socket = Settings(**settings).admin_socket
        self.start()

    def run(self) -> None:
        while not self.ends.is_set():
            for name, day in self._asked("marts_plan", {"names": [], "as_of": None}) or ():
                outcome = self._asked("mart_refresh", {"name": name, "as_of": day, "is_full": True, "is_refit": True})
                if self.ends.is_set():
                    return
                self.done += outcome is not None and outcome["state"] == "done"
                self.failed += outcome is None or outcome["state"] != "done"

    def _asked(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """None where the worker says no."""
        try:
            return ask(self._socket, operation, arguments, _LONGEST)
        except TidemarkError:
            return None
