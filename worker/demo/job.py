"""The job of both demonstrations: messages go through the embedded broker and the worker of `tidemark run` into a file; then its marts.

Only the clock is not the machine's: it stands at the end of the messages' time.
"""

import json
import os
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from worker import store
from worker.committer import StepResult
from worker.config import Batch, Kafka, Marts, Registry, Settings, Store, Value
from worker.demo.broker import CLUSTER, Broker, Messages, PacedProducer
from worker.demo.delivery import writer_schemas
from worker.errors import ExitCode, Fatal, StoreError
from worker.events import EventBatch, Stream
from worker.marts.refresh import MartRun, Request, RunState
from worker.marts.runner import runner_of
from worker.run import Clock, Observer
from worker.service import run_worker
from worker.signals import Stop, signals_handled
from worker.store.reader import open_reader

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotRefreshed(Fatal):
    """A mart of the demo could not be refreshed."""

    exit_code = ExitCode.FAILED


class Stopped(Fatal):
    """The demo was interrupted; what the worker had committed is in the file."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(slots=True)
class Work:
    """What the worker did. `seconds`: from its start to its last commit. `remerges`: closed days changed, once per commit and day."""

    settings: Settings
    messages: int = 0
    seconds: float = 0.0
    commits: int = 0
    closed_days: int = 0
    remerges: int = 0
    watermark: datetime | None = None


def remove_old(path: Path) -> None:
    """Make room at `path`: only a file that a demo has written is removed. Raises StoreError for any other."""
    if not path.exists():
        return
    with closing(open_reader(path, Store())) as connection:
        row = connection.execute("select cluster_id from progress").fetchone()
    if row and row[0] is not None and not str(row[0]).startswith(CLUSTER):
        raise StoreError(f"{path} is not a file of the demo: it was fed from cluster {row[0]}", "Choose another: tidemark demo --file FILE")
    for file in (path, Path(f"{path}.wal")):
        file.unlink(missing_ok=True)


def work(path: Path, messages: Messages, batch_messages: int, now: datetime, console: Console, value: Value | None = None) -> Work:
    """Send all messages through broker and worker into a new file at `path`, with a progress bar on a terminal.

    `value`: settings of the models of customer value, for the refresh that follows.
    Raises Stopped where a signal came first, Fatal and Unavailable as `tidemark run` does.
    """
    topics = {stream: stream.value for stream in Stream if stream in set(messages.streams)}
    stop = Stop()
    with TemporaryDirectory() as directory, closing(Broker()) as broker, _progress(console, len(messages)) as progress:
        settings = Settings(
            store=Store(path=path),
            kafka=Kafka(bootstrap_servers=broker.bootstrap_servers, topics=topics, dlq_suffix=""),
            registry=Registry(files=_schema_files(Path(directory))),
            batch=Batch(max_messages=batch_messages),
            marts=Marts(enabled=False, value=value or Value()),  # sixty days close within a minute: the marts come once, at the end
        )
        with signals_handled(stop), PacedProducer(broker, topics, messages) as producer:
            watch = _Watch(Work(settings), producer, stop, progress)
            run_worker(settings, stop, clock=Clock(lambda: now, time.monotonic), observers=[watch], with_servers=False)
    if watch.work.messages < len(messages):
        raise Stopped(
            f"the demo was stopped after {watch.work.messages:,} of {len(messages):,} messages",
            f"What was committed is in {path}. The next demo starts afresh.",
        )
    return watch.work


def refresh(settings: Settings, now: datetime, *names: str, as_of: date | None = None) -> list[MartRun]:
    """Refresh these marts of the file after what they read (all, if none is named) as of that day (None: the last closed one).

    Raises NotRefreshed for the first that fails.
    """
    alone = settings.store.model_copy(update={"threads": os.cpu_count() or 1})  # nothing is merged meanwhile
    settings = settings.model_copy(update={"store": alone})
    runs: list[MartRun] = []
    with closing(store.Store(settings, now)) as file:
        runner = runner_of(settings, file.cursor, lambda: now)
        for name, day in runner.plan(names, as_of).steps:
            runs.append(runner.refresh(name, Request(as_of=day)))
            if runs[-1].state is not RunState.DONE:
                raise NotRefreshed(f"mart {name} was not refreshed: {runs[-1].message}", "This is a bug: please report it.")
    return runs


class _Watch(Observer):
    """Tells the producer what was committed, shows it, and ends the worker when all is."""

    def __init__(self, work: Work, producer: PacedProducer, stop: Stop, progress: Progress) -> None:
        self.work = work
        self._producer = producer
        self._stop = stop
        self._progress = progress
        self._began = time.monotonic()

    def committed(self, batch: EventBatch, result: StepResult, _seconds: float) -> None:
        if not result.is_empty:
            self._producer.committed(batch.messages.position)
            self._add(batch, result)

    def ticked(self) -> None:
        if self._producer.is_read():
            self._stop.event.set()

    def _add(self, batch: EventBatch, result: StepResult) -> None:
        work = self.work
        work.messages += len(batch.messages)
        work.seconds = time.monotonic() - self._began
        work.commits += 1
        work.closed_days += len(result.closed_days)
        work.remerges += len(result.changed_days)
        if result.watermark.value is not None:
            work.watermark = EPOCH + timedelta(microseconds=result.watermark.value)
        self._progress.update(
            self._progress.task_ids[0],
            completed=work.messages,
            rate=work.messages / work.seconds,
            watermark=work.watermark.date() if work.watermark else "unknown",
            tally=f"{work.closed_days} days closed · {work.remerges:,} re-merges",
        )


def _progress(console: Console, total: int) -> Progress:
    """A live bar on a terminal; nothing in a pipe."""
    text = "{task.completed:,} · {task.fields[rate]:,.0f}/s · watermark {task.fields[watermark]} · {task.fields[tally]}"
    columns = (BarColumn(bar_width=None), TextColumn(text))
    progress = Progress(*columns, console=console, expand=True, transient=True, disable=not console.is_terminal)
    progress.add_task("", total=total, rate=0.0, watermark="unknown", tally="")
    return progress


def _schema_files(directory: Path) -> dict[str, Path]:
    """The writer schemas as files, by schema id: the worker has no registry here."""
    files = {}
    for number, schema in writer_schemas().items():
        files[str(number)] = directory / f"{number}.avsc"
        files[str(number)].write_text(json.dumps(schema))
    return files
