"""What every scenario needs: a broker, a directory, the worker's settings, measured runs of a case in turn with others."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import psutil
import typer
from rich.console import Console

from tests.bench import topics
from tests.bench.data import ORDER_SCHEMA, TOUCHPOINT_SCHEMA, Shape
from tests.bench.engine import Measured
from tests.bench.figures import Expected
from tests.bench.report import Run
from tests.support.java import ROOT, NotHere
from tests.support.messages import WRITERS
from tests.support.real_kafka import Broker, JarBroker, running_broker
from worker.events import Stream
from worker.tables import TABLES

WORK = ROOT / "build" / "bench"

_SLOWEST = 1e-3  # seconds a message; a run that takes longer is ended
_CORE = {"customer_channel_day", "customer_sales_day", "daily_sales", "daily_reach"}

Json: TypeAlias = Mapping[str, Any]


class Tables(StrEnum):
    """Which are on."""

    ALL = "all"  # every table
    CORE = "core"  # orders, net and customers per day; touchpoints, cost and customers per day and channel


@dataclass(frozen=True, slots=True)
class Options:
    """What may be said of any scenario; None: as the scenario has it. `settings` of the worker are by section, as JSON has them."""

    shape: Shape
    messages: int | None = None
    runs: int = 1
    tables: Sequence[Tables] | None = None
    settings: Json = field(default_factory=dict)
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: topics read to their end, into a new file or a copy of `file`. `settings` go before those of the options."""

    name: str
    tables: Tables
    topics: Mapping[Stream, str]
    expected: Expected
    messages: int
    file: Path | None = None
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workbench:
    """A broker that runs, and a directory that is gone afterwards."""

    options: Options
    console: Console
    directory: Path
    broker: Broker

    def shape(self, messages: int) -> Shape:
        """The options' shape, of so many messages where they say nothing else."""
        return self.options.shape.of(self.options.messages or messages)

    def tables(self, *usual: Tables) -> Sequence[Tables]:
        """Those of the options, else the scenario's."""
        return self.options.tables or usual

    def loaded(self, shape: Shape) -> tuple[Mapping[Stream, str], Expected]:
        """Topics with its messages, made in parts where it is large, and what the tables must hold then."""
        self.console.print(f"{shape.messages:,} messages of seed {shape.seed} go to the broker at {self.broker.bootstrap}")
        return topics.loaded(self.broker.bootstrap, shape.parts())

    def settings(self, path: Path, names: Mapping[Stream, str], tables: Tables, more: Json | None = None) -> dict[str, Any]:
        """The worker's settings, as JSON has them."""
        files = {}
        for number in (ORDER_SCHEMA, TOUCHPOINT_SCHEMA):
            files[str(number)] = str(self.directory / f"{number}.avsc")
            (self.directory / f"{number}.avsc").write_text(json.dumps(WRITERS[number]))
        own: dict[str, Any] = {
            "store": {"path": str(path)},
            "kafka": {"bootstrap_servers": self.broker.bootstrap, "topics": dict(names)},
            "registry": {"files": files},
            "serve": {"port": 0},
            "log": {"level": "warning"},
            "tables": {} if tables is Tables.ALL else dict.fromkeys(TABLES.keys() - _CORE, False),
        }
        for others in (self.options.settings, more or {}):
            for section, values in others.items():
                own[section] = {**own.get(section, {}), **values}
        return own

    def in_turn(self, cases: Sequence[Case]) -> list[Run]:
        """Each case once, then each again, as often as the options say. Exits where figures are not exact."""
        return [self.run(case) for _ in range(self.options.runs) for case in cases]

    def run(self, case: Case) -> Run:
        """One run, the worker in a process of its own. Exits where its figures are not exact."""
        path = self.directory / "bench.duckdb"
        if case.file is not None:
            shutil.copyfile(case.file, path)
        load, busy = os.getloadavg()[0], _busy_seconds()
        measured = self._measured(self.settings(path, case.topics, case.tables, case.settings), case.messages)
        others = _busy_seconds() - busy - measured.cpu
        try:
            case.expected.check(path)
            return Run(case.name, case.tables, measured, load, others, path.stat().st_size)
        finally:
            path.unlink()

    def _measured(self, settings: Json, messages: int) -> Measured:
        engine = [sys.executable, "-m", "tests.bench.engine"]
        longest = 120 + _SLOWEST * messages
        ended = subprocess.run(
            engine, input=json.dumps(settings), stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False, timeout=longest
        )
        if ended.returncode:
            raise SystemExit(f"the worker ended with exit code {ended.returncode}")
        return Measured(**json.loads(ended.stdout))

    @property
    def broker_version(self) -> str:
        """What is known of the broker: of our own, the jar's name and version."""
        return next((ROOT / "build" / "kafka").glob("kafka_2*.jar")).stem if isinstance(self.broker, JarBroker) else "external"


@contextmanager
def workbench(options: Options, console: Console) -> Iterator[Workbench]:
    """One with a broker of its own, or the one that the environment names. Ends the command where there can be none."""
    WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=WORK) as temporary:
        try:
            with running_broker(Path(temporary) / "kafka") as broker:
                yield Workbench(options, console, Path(temporary), broker)
        except NotHere as error:
            console.print(f"No benchmark without a broker: {error}")
            raise typer.Exit(1) from None


def _busy_seconds() -> float:
    """CPU seconds of the whole machine that were not idle."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)
