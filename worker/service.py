"""A worker put together from its settings: file, log, decoder, pipeline, and what others see of it."""

import gc
from collections.abc import Sequence
from contextlib import ExitStack, closing

import structlog

from worker import __version__
from worker.committer import StepResult
from worker.config import Settings
from worker.decode import Decoder, ReportingZone
from worker.decode.registry import schema_source
from worker.errors import Unavailable
from worker.events import EventBatch
from worker.metrics import Metrics
from worker.outbox import Outbox
from worker.pipeline import Pipeline
from worker.run import SYSTEM_CLOCK, Clock, Observer, Stop, run
from worker.serve.admin import AdminServer
from worker.serve.http import HttpServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.status import StatusBoard
from worker.source.dlq import DlqProducer
from worker.source.kafka import KafkaSource
from worker.source.losses import Acceptances
from worker.store import Store
from worker.telemetry import Telemetry

log = structlog.get_logger()

# Messages are small objects without cycles, hundreds of thousands at a time. Every 700 new ones, the default, Python's collector of
# cycles would look through the young ones, and all at times: as much CPU as fetching them takes.
_GC_OBJECTS = 500_000


class _Several(Observer):
    """Tells each of several observers, in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        for observer in self._observers:
            observer.committed(batch, result, seconds)

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
        stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(_GC_OBJECTS, *gc.get_threshold()[1:])
        source = stack.enter_context(closing(KafkaSource(settings.kafka, accept)))
        decoder = Decoder(
            schema_source(settings.registry), ReportingZone(settings.time.reporting_time_zone), settings.time.future_guard, source.topics()
        )
        store = stack.enter_context(closing(Store(settings, clock.now())))
        if store.switched:
            log.info("tables_switched", tables=store.switched)
        board = StatusBoard(clock.tick)
        metrics = Metrics()
        telemetry = stack.enter_context(closing(Telemetry(metrics, board, store, source, decoder, clock)))
        if with_servers:
            stack.enter_context(AdminServer(settings.admin_socket, reading_operations(store.cursor, board, Limits.of(settings.serve))))
            http = stack.enter_context(HttpServer(settings.serve, metrics.registry, board))
            log.info("worker_started", version=__version__, file=str(store.path), url=http.url)
        watching: list[Observer] = [telemetry, *observers]
        if settings.kafka.dlq_suffix:
            watching.append(stack.enter_context(closing(Outbox(store, DlqProducer(settings.kafka), clock))))
        pipeline = Pipeline(source, decoder, store, settings)
        run(pipeline, source, clock=clock, observer=_Several(watching), stop=stop, exit_at_end=exit_at_end)
        log.info("worker_stopped", commit_id=pipeline.state.commit_id)
