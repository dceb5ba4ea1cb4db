"""`tidemark run`: two threads around the pipeline. One polls and decodes ahead, through a queue of at most two batches; the main one
merges and commits. The clock is read here and nowhere below.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.committer import StepResult
from worker.errors import Unavailable
from worker.events import EventBatch
from worker.jobs.inbox import Inbox, Lane
from worker.jobs.runner import JobRunner
from worker.patience import Patience
from worker.pipeline import Pipeline
from worker.signals import Stop
from worker.source import Source

_TICK = 0.5  # seconds: so often the main loop comes round where nothing happens
_FEW = 10_000  # messages: to decode fewer takes less than their commit does, so that reading ahead wins nothing


@dataclass(frozen=True, slots=True)
class Clock:
    """The edge where time comes in: `now` in UTC, `tick` seconds of a monotonic clock."""

    now: Callable[[], datetime]
    tick: Callable[[], float]


SYSTEM_CLOCK = Clock(lambda: datetime.now(UTC), time.monotonic)


class Observer:
    """What wants to know how the worker is doing; each method may be left as it is."""

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        """One step of the live stream is done, in `seconds`; the result may be empty."""

    def merged(self, batch: EventBatch, result: StepResult) -> None:
        """A batch of a job was committed."""

    def read(self, stage: str, seconds: float) -> None:
        """The reading thread has polled or decoded a batch (`stage`: poll, decode), in `seconds`. Called from that thread."""

    def ticked(self) -> None:
        """The main loop is alive."""

    def waiting(self, error: Unavailable, seconds: float) -> None:
        """Something is away; the next attempt comes in `seconds`. Called from the reading thread."""

    def reading(self) -> None:
        """It is there again, or for the first time. Called from the reading thread."""

    def finished(self) -> None:
        """The worker has drained and is about to end."""


def run(
    pipeline: Pipeline,
    source: Source,
    *,
    clock: Clock,
    observer: Observer,
    stop: Stop,
    inbox: Inbox,
    jobs: JobRunner,
    exit_at_end: bool = False,
) -> None:
    """Read, merge and commit until `stop` is asked, or with `exit_at_end` until every partition was read to its end and no job is left.

    What is away is waited for. Raises Fatal (SourceError, StoreError, TooManyRejected, ..) with nothing half done.
    """
    reader = _Reader(pipeline, inbox, clock, observer, stop)
    reader.start()
    try:
        for batch in _batches(inbox, jobs, observer):
            began = clock.tick()
            result = pipeline.step(batch, clock.now(), began)
            observer.committed(batch, result, clock.tick() - began)
            if stop.is_urgent:
                raise stop.interrupted()  # once more: where it was raised first, a handler of errors may have swallowed it
            if exit_at_end and batch.messages.at_end >= source.partitions() and jobs.is_idle:
                stop.event.set()
        observer.finished()
    finally:
        stop.over()
        stop.event.set()
        inbox.close()
        reader.abandon()


def run_job(job_id: int, *, observer: Observer, stop: Stop, inbox: Inbox, jobs: JobRunner) -> None:
    """The main loop without a live stream: until the job has ended, or `stop` is asked; then it goes on at a later start.

    Jobs that were asked for before it come first. Raises StoreError.
    """
    try:
        while jobs.job(job_id).is_unfinished and not stop.event.is_set():
            jobs.start_next()
            _work(inbox, jobs, observer)
        observer.finished()
    finally:
        stop.over()
        inbox.close()


def _batches(inbox: Inbox, jobs: JobRunner, observer: Observer) -> Iterator[EventBatch]:
    """The live stream's decoded batches in order, until the reader has ended; between them, jobs and errands. Raises what ended it."""
    while True:
        jobs.start_next()
        for item in _work(inbox, jobs, observer):
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item


def _work(inbox: Inbox, jobs: JobRunner, observer: Observer) -> list[Any]:
    """One round: does what jobs and other threads want, returns what came of the live stream, if anything did."""
    observer.ticked()  # before what comes is waited for, not after
    match inbox.take(_TICK):
        case (Lane.LIVE, item):
            return [item]
        case (Lane.JOB, (sender, item)):
            jobs.handle(sender, item)
        case (Lane.ERRAND, errand):
            errand()
    return []


class _Reader(threading.Thread):
    """Takes up the log, then polls and decodes ahead. Hands its end (None), or the error that ended it, through the same inbox.

    All that may have to be waited for happens here, so that the main loop comes round and the worker counts as alive meanwhile.
    """

    def __init__(self, pipeline: Pipeline, inbox: Inbox, clock: Clock, observer: Observer, stop: Stop) -> None:
        super().__init__(name="reader", daemon=True)
        self._pipeline = pipeline
        self._inbox = inbox
        self._clock = clock
        self._patience = Patience(stop.event, observer.waiting, observer.reading)
        self._observer = observer
        self._stop_asked = stop.event
        self._abandoned = threading.Event()

    def run(self) -> None:
        ended: BaseException | None = None
        try:
            self._patience.call(lambda: self._pipeline.start(self._clock.tick()))
            while not self._stop_asked.is_set():
                batch = self._next()
                self._put(batch)
                if len(batch.messages) < _FEW:
                    # Who is caught up polls no earlier than the main thread has need of it: one batch of what came meanwhile, instead of
                    # several that wait in line, each with the fixed cost of a commit.
                    self._inbox.wait_until_taken(Lane.LIVE, self._is_wanted)
        except Unavailable:
            pass  # asked to stop while waiting: what was polled and not decoded is read again
        # Whatever it is, the main thread must know, for it ends the process.
        except BaseException as error:
            ended = error
        self._put(ended)

    def _next(self) -> EventBatch:
        began = self._clock.tick()
        messages = self._patience.call(self._pipeline.poll)
        polled = self._clock.tick()
        batch = self._patience.call(lambda: self._pipeline.decode(messages, self._clock.now()))
        if len(messages):
            self._observer.read("poll", polled - began)
            self._observer.read("decode", self._clock.tick() - polled)
        return batch

    def abandon(self) -> None:
        """Nobody takes batches any more."""
        self._abandoned.set()
        self.join(timeout=5.0)

    def _put(self, item: EventBatch | BaseException | None) -> None:
        self._inbox.put(Lane.LIVE, item, self._is_wanted)

    def _is_wanted(self) -> bool:
        return not self._abandoned.is_set()
