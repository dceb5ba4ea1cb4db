"""`make bench`: messages per second of the whole path and of each stage, on a real Kafka; every run's result is checked to the cent."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import duckdb
import psutil
import typer
from rich.console import Console

from tests.bench import data, report, topics
from tests.bench.engine import Measured
from tests.support.java import ROOT, NotHere
from tests.support.messages import WRITERS
from tests.support.real_kafka import Broker, JarBroker, running_broker
from worker.events import Stream
from worker.tables import TABLES

console = Console(width=120)

_SHAPE = data.Shape()
_WORK = ROOT / "build" / "bench"


class Scenario(StrEnum):
    """Which tables are on."""

    ALL = "all"  # every table
    CORE = "core"  # orders, net and customers per day; touchpoints, cost and customers per day and channel


_SLOWEST = 1e-3  # seconds a message; a run that takes longer is ended
_CORE = {"customer_channel_day", "customer_sales_day", "daily_sales", "daily_reach"}

_FIGURES = {
    "orders, customers and net by day": (
        "select day, sum(orders), sum(customers), sum(net_cents) from daily_sales group by day order by day"
    ),
    "touchpoints, customers and cost by day and channel": (
        "select day, channel, touchpoints, customers, cost_cents from daily_reach order by day, channel"
    ),
}


def main(
    messages: Annotated[int, typer.Option(help="how many; the issue on speed has 2745230")] = _SHAPE.messages,
    runs: Annotated[int, typer.Option(help="of each scenario, in turn; the median counts")] = 1,
    scenario: Annotated[list[Scenario] | None, typer.Option(help="which tables are on; may be given again (default: each)")] = None,
    batch: Annotated[int | None, typer.Option(help="batch.max_messages")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="store.memory_limit")] = None,
    checkpoint_threshold: Annotated[str | None, typer.Option(help="store.checkpoint_threshold")] = None,
    threads: Annotated[int | None, typer.Option(help="store.threads")] = None,
    late_share: Annotated[float, typer.Option(help="of sessions and orders, late by up to 20 days")] = _SHAPE.late_share,
    update_share: Annotated[float, typer.Option(help="of orders that get a second version")] = _SHAPE.update_share,
    seed: Annotated[int, typer.Option(help="of the shop")] = _SHAPE.seed,
    out: Annotated[Path, typer.Option("--json", help="where the figures go")] = _WORK / "bench.json",
) -> None:
    """Measure the worker on a seeded shop and a real Kafka (TIDEMARK_TEST_KAFKA, Docker, or jars)."""
    shape = data.Shape(messages=messages, late_share=late_share, update_share=update_share, seed=seed)
    store = {"memory_limit": memory_limit, "checkpoint_threshold": checkpoint_threshold, "threads": threads}
    given = {
        "store": {name: value for name, value in store.items() if value is not None},
        "batch": {"max_messages": batch} if batch else {},
    }
    scenarios = scenario or list(Scenario)
    shop = data.Shop(shape)
    expected = [shop.orders.figures(), shop.touchpoints.figures()]
    _WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_WORK) as temporary, _broker(Path(temporary)) as broker:
        console.print(f"{shape.messages:,} messages, seed {shape.seed}, on the broker at {broker.bootstrap}")
        settings = _settings(Path(temporary), broker.bootstrap, topics.loaded(broker.bootstrap, shop))
        done = [_run(which, settings, given, expected, messages) for _ in range(runs) for which in scenarios]
    for which in scenarios:
        report.show(console, [run for run in done if run.scenario == which])
    out.write_text(json.dumps(report.as_json(done, shape, _described(broker), given, datetime.now(UTC)), indent=1))
    console.print(f"written to {out}")


@contextmanager
def _broker(directory: Path) -> Iterator[Broker]:
    try:
        with running_broker(directory / "kafka") as broker:
            yield broker
    except NotHere as error:
        console.print(f"No benchmark without a broker: {error}")
        raise typer.Exit(1) from None


def _described(broker: Broker) -> str:
    """What is known of the broker: of our own, the jar's name and version."""
    return next((ROOT / "build" / "kafka").glob("kafka_2*.jar")).stem if isinstance(broker, JarBroker) else "external"


def _settings(directory: Path, bootstrap: str, names: Mapping[Stream, str]) -> dict[str, Any]:
    """The worker's settings, as JSON has them."""
    files = {}
    for number in (data.ORDER_SCHEMA, data.TOUCHPOINT_SCHEMA):
        files[str(number)] = str(directory / f"{number}.avsc")
        (directory / f"{number}.avsc").write_text(json.dumps(WRITERS[number]))
    return {
        "store": {"path": str(directory / "bench.duckdb")},
        "kafka": {"bootstrap_servers": bootstrap, "topics": names},
        "registry": {"files": files},
        "log": {"level": "warning"},
    }


def _run(
    scenario: Scenario, settings: Mapping[str, Any], given: Mapping[str, Any], expected: list[data.Figures], messages: int
) -> report.Run:
    """One run into a new file, in a process of its own. Exits where its figures are not exact."""
    off = {} if scenario is Scenario.ALL else dict.fromkeys(TABLES.keys() - _CORE, False)
    settings = {**settings, **given, "store": {**settings["store"], **given["store"]}, "tables": off}
    path = Path(settings["store"]["path"])
    load, busy = os.getloadavg()[0], _busy_seconds()
    engine = [sys.executable, "-m", "tests.bench.engine"]
    longest = 120 + _SLOWEST * messages
    ended = subprocess.run(engine, input=json.dumps(settings), stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False, timeout=longest)
    if ended.returncode:
        raise SystemExit(f"the worker ended with exit code {ended.returncode}")
    measured = Measured(**json.loads(ended.stdout))
    others = _busy_seconds() - busy - measured.cpu
    try:
        _check(path, expected)
        return report.Run(scenario, measured, load, others, path.stat().st_size)
    finally:
        path.unlink()


def _check(path: Path, expected: list[data.Figures]) -> None:
    with duckdb.connect(str(path), read_only=True) as connection:
        for (what, select), figures in zip(_FIGURES.items(), expected, strict=True):
            found = connection.execute(select).fetchall()
            if found != figures:
                wrong = sorted(set(found) ^ set(figures), key=str)
                raise SystemExit(f"{what} are wrong in {len(wrong)} rows; the first, found or expected: {wrong[:6]}")


def _busy_seconds() -> float:
    """CPU seconds of the whole machine that were not idle."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


if __name__ == "__main__":
    typer.run(main)
