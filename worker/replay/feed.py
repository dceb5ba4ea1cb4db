"""The ranges of a plan as a feed of decoded batches, at a pace."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from worker.config import Settings
from worker.decode import Decoder
from worker.events import MessageBatch
from worker.jobs.feed import Portion
from worker.replay.plan import ReplayPlan
from worker.source.losses import name
from worker.source.ranges import RangeReader


class Reader(Protocol):
    """What a feed needs of source.ranges.RangeReader."""

    @property
    def is_done(self) -> bool: ...
    def poll(self, max_messages: int) -> MessageBatch: ...
    def close(self) -> None: ...


class Pace:
    """At most `rate` messages a second: after each batch it sleeps for as long as the batch is worth. None: as fast as it goes."""

    def __init__(
        self, rate: float | None = None, sleep: Callable[[float], object] = time.sleep, tick: Callable[[], float] = time.monotonic
    ) -> None:
        """`sleep` may come back early, when a stop is asked (tenacity.sleep_using_event); `tick`: seconds of a monotonic clock."""
        self._rate = rate
        self._sleep = sleep
        self._tick = tick
        self._due = tick()

    def at_once(self, max_messages: int) -> int:
        """How many messages one batch may hold: no more than a second's worth."""
        return max_messages if self._rate is None else max(1, min(max_messages, int(self._rate)))

    def wait(self) -> None:
        """Sleep until the next batch is due."""
        if (seconds := self._due - self._tick()) > 0:
            self._sleep(seconds)
        self._due = max(self._due, self._tick())

    def took(self, messages: int) -> None:
        """So many came after the last wait()."""
        if self._rate is not None:
            self._due += messages / self._rate


class ReplayFeed:
    """The feed (jobs.feed.Feed) of a plan. `done` and `total` are offsets, of which some may hold no message."""

    def __init__(
        self,
        plan: ReplayPlan,
        reader: Reader,
        decoder: Decoder,
        max_messages: int,
        *,
        resume_point: Mapping[str, int] | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`reader` reads plan.left(resume_point)."""
        self._reader = reader
        self._decoder = decoder
        self._pace = pace or Pace()
        self._max_messages = self._pace.at_once(max_messages)
        self._total = plan.total
        self._first = sum(asked.first for _, asked, _ in plan.ranges)
        self._next = {name(partition): asked.first for partition, asked, _ in plan.ranges} | dict(resume_point or {})
        self._polled: MessageBatch | None = None  # and not decoded yet

    @property
    def total(self) -> int:
        return self._total

    def next(self, now: datetime) -> Portion | None:
        """The next batch, which may be empty (nothing came for a moment); None at the end. Raises Unavailable, SourceError, Fatal."""
        if self._polled is None:
            if self._reader.is_done:
                return None
            self._pace.wait()
            self._polled = self._reader.poll(self._max_messages)
            self._pace.took(len(self._polled))
        batch = self._decoder.decode(self._polled, now)
        self._next |= {name(partition): after.offset for partition, after in self._polled.position.items()}
        self._polled = None
        return Portion(batch, dict(self._next), sum(self._next.values()) - self._first)

    def close(self) -> None:
        self._reader.close()


def replay_feed(
    plan: ReplayPlan,
    settings: Settings,
    decoder: Decoder,
    *,
    resume_point: Mapping[str, int] | None = None,
    rate: float | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> ReplayFeed:
    """The feed of `plan` from Kafka, at most `rate` messages a second. Raises ConfigError; needs no broker yet."""
    reader = RangeReader(settings.kafka, plan.left(resume_point), plan.identity)
    return ReplayFeed(plan, reader, decoder, settings.batch.max_messages, resume_point=resume_point, pace=Pace(rate, sleep))
