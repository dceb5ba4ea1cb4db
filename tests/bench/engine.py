"""The whole worker in a process of its own, with a clock around each of its stages.

`python -m tests.bench.engine` reads settings as JSON from standard input and writes a Measured as JSON to standard output.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import psutil

import worker.aggregate
from tests.bench.process import peak_rss
from worker.aggregate import Membership
from worker.committer import StepResult
from worker.config import Settings
from worker.events import EventBatch
from worker.log import configure
from worker.pipeline import Pipeline
from worker.run import Observer
from worker.service import run_worker
from worker.signals import Stop
from worker.store import Store, Transaction
from worker.telemetry import Telemetry


class Spent(NamedTuple):
    """Seconds of the wall's clock, and of the calling thread's CPU."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: tuple[float, ...]) -> "Spent":  # type: ignore[override]
        return Spent(self.wall + other[0], self.cpu + other[1])

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.wall - other.wall, self.cpu - other.cpu)

    @staticmethod
    def clock() -> "Spent":
        return Spent(time.perf_counter(), time.thread_time())


@dataclass(slots=True)
class Measured:
    """One run, from the first poll to the last commit.

    `stages`: what each part took in its own thread (polling and decoding run beside the rest). `sql`: by SQL file. `threads`: CPU seconds
    of the process by kind of thread. `batches`: of each commit messages, seconds, and bytes of RSS after it. `closing`: seconds from the
    last commit to the end.
    """

    messages: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    peak_rss: int = 0
    closing: float = 0.0
    stages: dict[str, Spent] = field(default_factory=dict)
    sql: dict[str, Spent] = field(default_factory=dict)
    threads: dict[str, float] = field(default_factory=dict)
    batches: list[tuple[int, float, int]] = field(default_factory=list)


class Meter(Observer):
    """Puts clocks around the worker's own functions, and adds up what they show."""

    def __init__(self) -> None:
        self.measured = Measured()
        self._process = psutil.Process()
        self._began = 0.0
        self._cpu: dict[str, float] = {}
        for owner, name, stage in (
            (Pipeline, "poll", "consume"),
            (Pipeline, "decode", "decode"),
            (Pipeline, "step", "step"),
            (Membership, "maybe", "membership: ask"),
            (Membership, "add", "membership: add"),
            (worker.aggregate, "repeated", "membership: repeated"),
            (Store, "confirm", "confirm"),
            (Telemetry, "committed", "telemetry"),
        ):
            setattr(owner, name, self._clocked(getattr(owner, name), stage))
        Store.transaction = self._with_clocked_commit(Store.transaction)  # type: ignore[method-assign]

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        if result.is_empty:
            return
        measured = self.measured
        for name, spent in result.seconds.items():
            measured.sql[name] = measured.sql.get(name, Spent()) + spent
        measured.messages += len(batch.messages)
        measured.batches.append((len(batch.messages), seconds, self._process.memory_info().rss))
        measured.wall = time.perf_counter() - self._began
        now = self._thread_seconds()
        measured.threads = {kind: seconds - self._cpu.get(kind, 0.0) for kind, seconds in now.items()}
        measured.cpu = sum(measured.threads.values())

    def taken(self) -> Measured:
        """The measurement, once the worker has ended."""
        self.measured.closing = time.perf_counter() - self._began - self.measured.wall
        self.measured.peak_rss = peak_rss(os.getpid())
        return self.measured

    def _clocked(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @wraps(function)
        def clocked(*arguments: Any, **named: Any) -> Any:
            if not self._began:
                self._began, self._cpu = time.perf_counter(), self._thread_seconds()
            before = Spent.clock()
            try:
                return function(*arguments, **named)
            finally:
                self._add(stage, before)

        return clocked

    def _with_clocked_commit(self, transaction: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def clocked(*arguments: Any) -> Iterator[Transaction]:
            with transaction(*arguments) as tx:
                yield tx
                before = Spent.clock()
            self._add("commit", before)

        return clocked

    def _add(self, stage: str, before: Spent) -> None:
        self.measured.stages[stage] = self.measured.stages.get(stage, Spent()) + (Spent.clock() - before)

    def _thread_seconds(self) -> dict[str, float]:
        """CPU seconds of this process by kind of thread: main, librdkafka's, others (the reader)."""
        seconds: dict[str, float] = defaultdict(float)
        for thread in self._process.threads():
            seconds[_kind(thread.id)] += thread.user_time + thread.system_time
        return seconds


def _kind(thread: int) -> str:
    if thread == os.getpid():
        return "main"
    try:
        name = Path(f"/proc/self/task/{thread}/comm").read_text()
    except OSError:
        return "other"
    return "librdkafka" if name.startswith("rdk:") else "other"


def main() -> None:
    settings = Settings(**json.load(sys.stdin))
    configure(settings.log)
    meter = Meter()
    run_worker(settings, Stop(), exit_at_end=True, observers=[meter], with_servers=False)
    json.dump(asdict(meter.taken()), sys.stdout)


if __name__ == "__main__":
    main()
