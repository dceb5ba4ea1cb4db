"""The two threads around the pipeline, with stand-ins for all that is in it."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.errors import Unavailable
from worker.jobs.inbox import Inbox
from worker.jobs.runner import JobRunner, Maker
from worker.pipeline import Pipeline
from worker.run import Clock, Observer, run
from worker.signals import Stop
from worker.source import Source
from worker.store import Store
from worker.store.jobs import JobRow

CLOCK = Clock(lambda: datetime(2026, 3, 5, tzinfo=UTC), time.monotonic)


class Away:
    """A pipeline whose broker does not answer."""

    def start(self, tick: float) -> None:
        raise Unavailable(f"the broker is away at {tick}", "It is waited for.")


class NoJobs:
    """A store that was never asked for a job."""

    def jobs(self) -> list[JobRow]:
        return []


class Watcher(Observer):
    """Asks the worker to stop at the second tick, or when it is told a second time that something is waited for."""

    def __init__(self, stop: Stop) -> None:
        self.ticks = self.waits = 0
        self._stop = stop

    def ticked(self) -> None:
        self.ticks += 1
        self._stop_at_two(self.ticks)

    def waiting(self, *_: Any) -> None:
        self.waits += 1
        self._stop_at_two(self.waits)

    def _stop_at_two(self, times: int) -> None:
        if times == 2:
            self._stop.event.set()


def test_the_loop_ticks_while_the_broker_is_waited_for_at_the_start() -> None:
    stop = Stop()
    watcher = Watcher(stop)
    inbox = Inbox()
    jobs = JobRunner(cast(Store, NoJobs()), cast(Maker, None), CLOCK.now, inbox)
    run(cast(Pipeline, Away()), cast(Source, None), clock=CLOCK, observer=watcher, stop=stop, inbox=inbox, jobs=jobs)
    assert watcher.ticks >= 1
    assert watcher.waits >= 1


class Ahead:
    """A pipeline of batches of so many messages, which tells how many wait in line when the next is polled. Asks to stop at the fifth."""

    def __init__(self, messages: int, stop: Stop) -> None:
        self.waiting: list[int] = []
        self._messages, self._stop = messages, stop
        self._taken = 0

    def start(self, tick: float) -> None:
        pass

    def poll(self) -> range:
        self.waiting.append(len(self.waiting) - self._taken)
        return range(self._messages)

    def decode(self, messages: range, now: datetime) -> SimpleNamespace:
        return SimpleNamespace(messages=messages)

    def step(self, *_: Any) -> None:
        self._taken += 1
        time.sleep(0.05)  # the reader has time enough to poll ahead
        if self._taken == 5:
            self._stop.event.set()


@pytest.mark.parametrize(("messages", "in_line"), [(100, 0), (20_000, 2)])
def test_small_batches_do_not_wait_in_line_for_their_commits_and_large_ones_do(messages: int, in_line: int) -> None:
    stop, inbox = Stop(), Inbox()
    pipeline = Ahead(messages, stop)
    jobs = JobRunner(cast(Store, NoJobs()), cast(Maker, None), CLOCK.now, inbox)
    run(cast(Pipeline, pipeline), cast(Source, None), clock=CLOCK, observer=Observer(), stop=stop, inbox=inbox, jobs=jobs)
    assert max(pipeline.waiting) == in_line
