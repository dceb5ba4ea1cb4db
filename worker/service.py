"""A worker put together from its settings: file, log, decoder, pipeline, and what others see of it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import TypeAlias

import structlog

from worker import __version__
from worker.committer import Committer, StepResult
from worker.config import Settings
from worker.dlq import rejected_operations
from worker.errors import Unavailable
from worker.events import EventBatch
from worker.job_kinds import decoder_of, job_maker
from worker.jobs.inbox import Inbox
from worker.jobs.operations import job_operations
from worker.jobs.runner import JobRunner
from worker.marts.runner import MartThread, mart_operations, runner_of
from worker.metrics import Metrics
from worker.outbox import Outbox
from worker.pipeline import Pipeline
from worker.run import SYSTEM_CLOCK, Clock, Observer, run, run_job
from worker.serve.admin import AdminServer
from worker.serve.http import HttpServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.status import Status, StatusBoard, status_of_file
from worker.signals import Stop
from worker.source.dlq import DlqProducer
from worker.source.kafka import KafkaSource
from worker.source.losses import Acceptances
from worker.store import Store
from worker.store.database import with_all_cores
from worker.store.jobs import JobRow
from worker.telemetry import Telemetry

log = structlog.get_logger()

FindJob: TypeAlias = Callable[[JobRunner], int]


class _Several(Observer):
    """Tells each of several observers, in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        for observer in self._observers:
            observer.committed(batch, result, seconds)

    def merged(self, batch: EventBatch, result: StepResult) -> None:
        for observer in self._observers:
            observer.merged(batch, result)

    def read(self, stage: str, seconds: float) -> None:
        for observer in self._observers:
            observer.read(stage, seconds)

    def ticked(self) -> None:
        for observer in self._observers:
            observer.ticked()

    def waiting(self, error: Unavailable, seconds: float) -> None:
        for observer in self._observers:
            observer.waiting(error, seconds)

    def reading(self) -> None:
        for observer in self._observers:
            observer.reading()

    def finished(self) -> None:
        for observer in self._observers:
            observer.finished()


def run_worker(
    settings: Settings,
    stop: Stop,
    *,
    accept: Acceptances | None = None,
    exit_at_end: bool = False,
    clock: Clock = SYSTEM_CLOCK,
    observers: Sequence[Observer] = (),
    with_servers: bool = True,
) -> None:
    """Run one worker until `stop` is asked, or with `exit_at_end` until every partition was read to its end. Raises Fatal."""
    with ExitStack() as stack:
        source = stack.enter_context(closing(KafkaSource(settings.kafka, accept)))
        decoder, store = decoder_of(settings), stack.enter_context(closing(_opened(settings, clock)))
        board = StatusBoard(clock.tick)
        metrics = Metrics()
        telemetry = stack.enter_context(closing(Telemetry(metrics, board, store, source, decoder, clock)))
        watching: list[Observer] = [telemetry, *observers]
        if settings.kafka.dlq_suffix:
            watching.append(stack.enter_context(closing(Outbox(store, DlqProducer(settings.kafka), clock))))
        observer, pipeline, inbox = _Several(watching), Pipeline(source, decoder, store, settings), Inbox()
        make = job_maker(settings, pipeline.committer, observer.merged)
        jobs = stack.enter_context(closing(JobRunner(store, make, clock.now, inbox, lambda: stop.is_urgent)))
        marts = runner_of(settings, store.cursor, clock.now, telemetry.mart_refreshed)
        pipeline.committer.make_room = marts.held_off
        if settings.marts.enabled:
            stack.enter_context(closing(MartThread(marts, partial(_is_behind, board, settings.marts.max_offset_lag))))
        if with_servers:
            reading = reading_operations(store.cursor, board.status, Limits.of(settings.serve))
            writing = job_operations(jobs) | rejected_operations(pipeline.committer, inbox, clock.now) | mart_operations(marts)
            stack.enter_context(AdminServer(settings.admin_socket, reading | writing, store.end_reading))
            stack.callback(marts.stop)  # before what reads is interrupted: that is no fault of a mart
            http = stack.enter_context(HttpServer(settings.serve, metrics.registry, board))
            log.info("worker_started", version=__version__, file=str(store.path), url=http.url)
        run(pipeline, source, clock=clock, observer=observer, stop=stop, inbox=inbox, jobs=jobs, exit_at_end=exit_at_end)
        log.info("worker_stopped", commit_id=pipeline.state.commit_id)


def run_one_job(settings: Settings, find: FindJob, stop: Stop, observer: Observer, clock: Clock = SYSTEM_CLOCK) -> JobRow:
    """Run a job where no worker runs, until it has ended or `stop` is asked; status, queries and cancelling go through the admin socket.

    `find` adds the job, or finds the one to go on with. Returns the job as it then stands. Raises StoreError, ConfigError.
    """
    settings = settings.model_copy(update={"store": with_all_cores(settings.store)})
    with ExitStack() as stack:
        store = stack.enter_context(closing(_opened(settings, clock)))
        inbox, committer = Inbox(), Committer(store, settings)
        make = job_maker(settings, committer, observer.merged)
        jobs = stack.enter_context(closing(JobRunner(store, make, clock.now, inbox, lambda: stop.is_urgent)))
        reading = reading_operations(store.cursor, partial(_file_status, store), Limits.of(settings.serve))
        writing = job_operations(jobs) | rejected_operations(committer, inbox, clock.now)
        stack.enter_context(AdminServer(settings.admin_socket, reading | writing, store.end_reading))
        job_id = find(jobs)
        run_job(job_id, observer=observer, stop=stop, inbox=inbox, jobs=jobs)
        return jobs.job(job_id)


def _is_behind(board: StatusBoard, max_offset_lag: int) -> bool:
    """Whether there is too much left to read, or nobody knows yet, to do something else beside it."""
    offset_lag = board.status().offset_lag
    return offset_lag is None or offset_lag > max_offset_lag


def _file_status(store: Store) -> Status:
    """What can be told where no live stream is read."""
    with closing(store.cursor()) as cursor:
        return status_of_file(cursor, store.path)


def _opened(settings: Settings, clock: Clock) -> Store:
    store = Store(settings, clock.now())
    if store.switched:
        log.info("tables_switched", tables=store.switched)
    return store
