"""The two threads around the pipeline, with stand-ins for all that is in it."""

import time
from datetime import UTC, datetime
from typing import Any, cast

from worker.errors import Unavailable
from worker.jobs.inbox import Inbox
from worker.jobs.runner import JobRunner, Maker
from worker.pipeline import Pipeline
from worker.run import Clock, Observer, Stop, run
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
