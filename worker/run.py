"""`tidemark run`: two threads around the pipeline. One polls and decodes ahead, through a queue of at most two batches; the main one
merges and commits. The clock is read here and nowhere below.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any, TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from worker.committer import StepResult
from worker.errors import ExitCode, Fatal, Unavailable
from worker.events import EventBatch
from worker.pipeline import Pipeline
from worker.source import Source

log = structlog.get_logger()

Result = TypeVar("Result")

_AHEAD = 2  # decoded batches that may wait
_LONGEST_WAIT = 30.0  # seconds between two attempts at something that is away


class Interrupted(Fatal):
    """A second signal came before the drain was over. What was not committed is read again at the next start."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("stopped by a second signal before the drain was over", "Nothing is lost: what was not committed is read again.")


@dataclass(frozen=True, slots=True)
class Clock:
    """The edge where time comes in: `now` in UTC, `tick` seconds of a monotonic clock."""

    now: Callable[[], datetime]
    tick: Callable[[], float]


SYSTEM_CLOCK = Clock(lambda: datetime.now(UTC), time.monotonic)


class Observer:
    """What wants to know how the worker is doing; each method may be left as it is."""

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        """One step is done, in `seconds`; the result may be empty."""

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


class Stop:
    """The wish to end: asked once, the worker drains; asked twice, it aborts."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.is_urgent = False

    def ask(self) -> None:
        """Raises Interrupted, into whatever goes on in the main thread, where it was asked before."""
        if self.event.is_set():
            self.is_urgent = True
            raise Interrupted
        self.event.set()


def run(pipeline: Pipeline, source: Source, *, clock: Clock, observer: Observer, stop: Stop, exit_at_end: bool = False) -> None:
    """Read, merge and commit until `stop` is asked, or with `exit_at_end` until every partition was read to its end.

    What is away is waited for. Raises Fatal (SourceError, StoreError, TooManyRejected, ..) with nothing half done.
    """
    reader = _Reader(pipeline, clock, observer, stop)
    reader.start()
    try:
        for batch in reader.batches(observer):
            began = clock.tick()
            result = pipeline.step(batch, clock.now(), began)
            observer.committed(batch, result, clock.tick() - began)
            if stop.is_urgent:
                raise Interrupted  # once more: where it was raised first, a handler of errors may have swallowed it
            if exit_at_end and batch.messages.at_end >= source.partitions():
                stop.event.set()
        observer.finished()
    finally:
        stop.event.set()
        reader.abandon()


@contextmanager
def signals_handled(stop: Stop) -> Iterator[None]:
    """SIGTERM and SIGINT ask to stop; a second one aborts."""

    def asked(number: int, _frame: FrameType | None) -> None:
        stop.ask()  # before all else: a log line that is being written when the signal comes may refuse another
        log.info("stop_requested", signal=signal.Signals(number).name)

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except Exception as error:
        # DuckDB makes an error of its own of what a signal raises while one of its calls goes on.
        if stop.is_urgent and not isinstance(error, Interrupted):
            raise Interrupted from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Patience:
    """Waits for what is away: longer and longer, with jitter, until it is there or the worker is to stop."""

    def __init__(self, stop: Stop, observer: Observer) -> None:
        self._observer = observer
        self._retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=0.5, max=_LONGEST_WAIT) + wait_random(0, 1),
            stop=stop_when_event_set(stop.event),
            sleep=sleep_using_event(stop.event),
            before_sleep=self._tell,
            reraise=True,
        )

    def call(self, attempt: Callable[[], Result]) -> Result:
        """The attempt's result. Raises Unavailable only where the worker is to stop."""
        result = self._retrying.copy()(attempt)
        self._observer.reading()
        return result

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, Unavailable)
        seconds = state.next_action.sleep if state.next_action else 0.0
        log.warning("waiting_for_dependency", error=error.message, attempt=state.attempt_number, next_attempt_seconds=round(seconds, 1))
        self._observer.waiting(error, seconds)


class _Reader(threading.Thread):
    """Takes up the log, then polls and decodes ahead. Hands its end, or the error that ended it, through the same queue.

    All that may have to be waited for happens here, so that the main loop comes round and the worker counts as alive meanwhile.
    """

    def __init__(self, pipeline: Pipeline, clock: Clock, observer: Observer, stop: Stop) -> None:
        super().__init__(name="reader", daemon=True)
        self._pipeline = pipeline
        self._clock = clock
        self._patience = _Patience(stop, observer)
        self._observer = observer
        self._stop_asked = stop.event
        self._abandoned = threading.Event()
        self._decoded: queue.Queue[EventBatch | BaseException | None] = queue.Queue(_AHEAD)

    def run(self) -> None:
        ended: BaseException | None = None
        try:
            self._patience.call(lambda: self._pipeline.start(self._clock.tick()))
            while not self._stop_asked.is_set():
                self._put(self._next())
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

    def batches(self, observer: Observer) -> Iterator[EventBatch]:
        """The decoded batches in order, until the reader has ended. Raises what ended it."""
        while True:
            try:
                item: Any = self._decoded.get(timeout=0.5)
            except queue.Empty:
                observer.ticked()
                continue
            observer.ticked()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def abandon(self) -> None:
        """Nobody takes batches any more."""
        self._abandoned.set()
        self.join(timeout=5.0)

    def _put(self, item: EventBatch | BaseException | None) -> None:
        while not self._abandoned.is_set():
            try:
                self._decoded.put(item, timeout=0.5)
            except queue.Full:
                continue
            return
