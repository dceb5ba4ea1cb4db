"""After each commit: metrics, log lines and the status snapshot. What is said of the worker is said here."""

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import Any

import structlog

from worker.committer import StepResult
from worker.decode import Decoder
from worker.errors import Unavailable
from worker.events import EventBatch, Origin, Partition, Stream
from worker.marts.refresh import MartRun, RunState
from worker.metrics import Decoder as DecoderName
from worker.metrics import Metrics, SourceState
from worker.run import Clock, Observer
from worker.serve.rates import RateMeter, Rates
from worker.serve.status import PartitionStatus, Status, StatusBoard, status_of_file
from worker.source import Source
from worker.store import Store

log = structlog.get_logger()

_SNAPSHOT_SECONDS = 1.0  # at most so often is the status read from the file,
_SNAPSHOT_PAUSES = 20  # with pauses so many times as long as reading it took: rejected messages are counted, and there are ever more
_STAGES = {"daily": "merge", "batch": "classify", "state": "save"}


class Telemetry(Observer):
    """Keeps the metrics and the status board of one worker."""

    def __init__(self, metrics: Metrics, board: StatusBoard, store: Store, source: Source, decoder: Decoder, clock: Clock) -> None:
        self._metrics = metrics
        self._board = board
        self._store = store
        self._source = source
        self._decoder = decoder
        self._clock = clock
        self._counted: dict[tuple[Stream, DecoderName], int] = {}
        self._next_snapshot_at = clock.tick()
        self._meter = RateMeter(clock.tick())
        self._status = board.status()
        self._log_ends: dict[Any, int] = {}
        self._waiting: Unavailable | None = None
        self._state = SourceState.STARTING

    def read(self, stage: str, seconds: float) -> None:
        self._metrics.stage_seconds.labels(stage).observe(seconds)

    def ticked(self) -> None:
        self._board.tick()
        self._set_lag(self._status.watermark)
        if self._clock.tick() >= self._next_snapshot_at:
            self._publish()

    def waiting(self, error: Unavailable, seconds: float) -> None:  # noqa: ARG002 - an observer's method
        self._waiting = error
        self._set_state(SourceState.UNAVAILABLE)

    def reading(self) -> None:
        self._waiting = None
        if self._state in {SourceState.UNAVAILABLE, SourceState.STARTING}:
            self._set_state(SourceState.READING)

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        self._log_ends.update(batch.messages.log_end_offsets)
        if not result.is_empty:
            self._count(batch, result, seconds)
            self._tell(batch, result, seconds)
        at_end = batch.messages.at_end >= self._source.partitions()
        if self._waiting is None:
            self._set_state(SourceState.CAUGHT_UP if at_end else SourceState.READING)
        if self._clock.tick() >= self._next_snapshot_at:
            self._publish()

    def merged(self, batch: EventBatch, result: StepResult) -> None:
        seconds = sum(wall for wall, _ in result.seconds.values())
        self._count(batch, result, seconds)
        self._tell(batch, result, seconds)

    def mart_refreshed(self, run: MartRun) -> None:
        """A mart was refreshed, or failed. Called from the thread that did it."""
        metrics = self._metrics
        metrics.mart_refreshes.labels(run.mart, run.state).inc()
        metrics.mart_seconds.labels(run.mart).set(run.seconds)
        metrics.mart_rows_read.labels(run.mart).inc(run.rows_read or 0)
        metrics.mart_rows_written.labels(run.mart).inc(run.rows_written or 0)
        if run.state is RunState.DONE and run.as_of is not None:
            metrics.mart_dirty_share.labels(run.mart).set(run.dirty_share or 0.0)
            metrics.mart_as_of.labels(run.mart).set(datetime.combine(run.as_of, time_of_day.max, UTC).timestamp())

    def close(self) -> None:
        """The last word: the worker has stopped."""
        self._set_state(SourceState.STOPPED)

    def _count(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        metrics, origin = self._metrics, result.accounting.origin
        self._meter.committed(self._clock.tick(), len(batch.messages))
        for stream, counts in result.accounting.streams.items():
            metrics.count_outcomes(stream, origin, counts.outcomes)
        for rejected in batch.rejected:
            metrics.count_rejected(rejected)
        for stream, count in result.late.items():
            metrics.late_events.labels(stream).inc(count)
        metrics.day_remerges.inc(len(result.changed_days))
        metrics.day_closings.inc(len(result.closed_days))
        metrics.batch_rows.observe(len(batch.messages))
        metrics.commit_seconds.observe(seconds)
        for stage, spent in _stage_seconds(result.seconds).items():
            metrics.stage_seconds.labels(stage).observe(spent)
        for (stream, name), total in self._decoded().items():
            metrics.decoded_rows.labels(stream, name).inc(total - self._counted.get((stream, name), 0))
            self._counted[stream, name] = total
        metrics.last_commit.set(self._clock.now().timestamp())

    def _decoded(self) -> dict[tuple[Stream, DecoderName], int]:
        counted = {(stream, DecoderName.COLUMNAR): stats.rows_columnar for stream, stats in self._decoder.stats.items()}
        return counted | {(stream, DecoderName.FASTAVRO): stats.rows_fastavro for stream, stats in self._decoder.stats.items()}

    def _tell(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        watermark = _moment(result.watermark.value)
        log.debug(
            "batch_committed", commit_id=result.commit_id, messages=len(batch.messages), seconds=round(seconds, 3), watermark=watermark
        )
        for day in result.closed_days:
            log.info("day_closed", day=day, revision=1, watermark=watermark)
        if result.changed_days and batch.messages.origin is Origin.LIVE:
            log.info("days_remerged", days=list(result.changed_days), commit_id=result.commit_id)
        if result.sealed_days:
            log.info("days_sealed", days=list(result.sealed_days))
        if batch.rejected:
            last = batch.rejected[-1]
            log.warning(
                "messages_rejected",
                messages=len(batch.rejected),
                topic=last.topic,
                partition=last.partition,
                offset=last.offset,
                reason=last.reason,
                detail=last.detail,
            )

    def _publish(self) -> None:
        """A new snapshot for /status and `tidemark status`, and the gauges that are read from the file."""
        began = self._clock.tick()
        stored = _status_of(self._store)
        self._status = stored.model_copy(update={"partitions": tuple(self._with_end(partition) for partition in stored.partitions)})
        ended = self._clock.tick()
        self._next_snapshot_at = max(began + _SNAPSHOT_SECONDS, ended + _SNAPSHOT_PAUSES * (ended - began))
        self._set_lag(self._status.watermark)
        self._set_gauges(self._status)
        now = self._clock.now()
        lag = (now - self._status.watermark).total_seconds() if self._status.watermark else None
        message = self._waited_for()
        self._board.publish(
            self._status.model_copy(
                update={
                    "taken_at": now,
                    "state": self._state,
                    "not_ready": (message,) if message else (() if self._source.partitions() else ("starting",)),
                    "message": message,
                    "watermark_lag_seconds": lag,
                    "rates": self._rates(ended),
                }
            )
        )

    def _rates(self, tick: float) -> Rates | None:
        file = self._status.file
        assert file is not None, "a worker has a file"
        return self._meter.rates(tick, file_bytes=file.file_bytes, wal_bytes=file.wal_bytes, offset_lag=self._status.offset_lag)

    def _with_end(self, partition: PartitionStatus) -> PartitionStatus:
        end = self._log_ends.get((partition.topic, partition.partition))
        lag = None if end is None else max(0, end - partition.next_offset)
        return partition.model_copy(update={"log_end_offset": end, "offset_lag": lag})

    def _set_gauges(self, status: Status) -> None:
        metrics = self._metrics
        for state in ("open", "closed", "sealed"):
            metrics.day_states.labels(state).set(getattr(status.days, state))
        read = self._source.partitions()
        for stored in status.partitions:
            partition = Partition(stored.topic, stored.partition)
            if partition in read:
                metrics.set_offsets(partition, stored.next_offset, self._log_ends.get(partition))
        for topic in self._source.topics().values():
            metrics.partitions.labels(topic).set(sum(p.topic == topic for p in read))
        for severity in ("error", "warning"):
            metrics.audits_failing.labels(severity).set(sum(audit.severity == severity for audit in status.audits))
        metrics.outbox_depth.set(sum(rejected.pending for rejected in status.rejected))
        if status.file is not None:
            metrics.file_bytes.set(status.file.file_bytes)
            metrics.wal_bytes.set(status.file.wal_bytes)

    def _set_lag(self, watermark: datetime | None) -> None:
        if watermark is not None:
            self._metrics.watermark_timestamp.set(watermark.timestamp())
            self._metrics.watermark_lag.set((self._clock.now() - watermark).total_seconds())

    def _set_state(self, state: SourceState) -> None:
        if state is not self._state:
            self._state = state
            self._metrics.set_source_state(state)
            self._publish_state()

    def _waited_for(self) -> str:
        """What is away, or nothing. Read once: the reading thread may change it at any moment."""
        waiting = self._waiting
        return waiting.message if waiting else ""

    def _publish_state(self) -> None:
        message = self._waited_for()
        self._board.publish(
            self._board.status().model_copy(update={"state": self._state, "message": message, "not_ready": (message,) if message else ()})
        )


def _status_of(store: Store) -> Status:
    with closing(store.cursor()) as cursor:
        return status_of_file(cursor, store.path)


def _stage_seconds(seconds: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Wall time by stage: the directory of the SQL files."""
    stages: dict[str, float] = {}
    for name, (wall, _) in seconds.items():
        stage = _STAGES.get(name.partition("/")[0], "other")
        stages[stage] = stages.get(stage, 0.0) + wall
    return stages


def _moment(micros: int | None) -> str | None:
    return None if micros is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(micros // 1_000_000))
