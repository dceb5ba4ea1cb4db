"""Event-time progress: a small asserted state machine. No clock, no I/O; times come in as arguments.

The watermark is the least, over the partitions that are not idle, of the greatest event time seen, less the watermark delay. It never
goes back. A day is closed once the watermark has passed its end plus the allowed lateness.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from worker.decode.calendar import ReportingZone
from worker.events import Partition

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class WatermarkState:
    """What is kept in the file. `newest[p]`: partition p's greatest event time; times are UTC microseconds.

    `value` is None until every partition was heard or found empty; `closed_before` is the first day that is not closed.
    """

    newest: Mapping[Partition, int] = field(default_factory=dict)
    value: int | None = None
    closed_before: date | None = None


@dataclass(frozen=True, slots=True)
class WatermarkRules:
    """The durations, and the zone whose calendar days are closed."""

    zone: ReportingZone
    watermark_delay: timedelta
    allowed_lateness: timedelta

    def advanced(
        self, state: WatermarkState, seen: Mapping[Partition, int], partitions: Set[Partition], idle: Set[Partition]
    ) -> WatermarkState:
        """The state after `seen` (greatest event time of each partition in a batch), with `partitions` taking part and `idle` of them idle.

        Where all partitions are idle, or one that is not has shown no event yet, the watermark holds.
        """
        newest = dict(state.newest)
        for partition, event_time in seen.items():
            newest[partition] = max(newest.get(partition, event_time), event_time)
        active = [newest.get(partition) for partition in partitions - idle]
        value = state.value
        heard = [event_time for event_time in active if event_time is not None]
        if heard and len(heard) == len(active):
            reached = min(heard) - self.watermark_delay // _MICROSECOND
            value = reached if value is None else max(value, reached)
        closed_before = self._closed_before(state.closed_before, value)
        assert state.value is None or (value is not None and value >= state.value), "the watermark went back"
        assert state.closed_before is None or (closed_before is not None and closed_before >= state.closed_before), "a day was opened again"
        return WatermarkState(newest, value, closed_before)

    def _closed_before(self, before: date | None, value: int | None) -> date | None:
        """A day has ended when its zone's calendar shows a later one; where clocks go back over midnight, closed days stay closed."""
        if value is None:
            return before
        days, _ = self.zone.day_and_hour(np.array([value - self.allowed_lateness // _MICROSECOND], np.int64))
        day = date.fromordinal(date(1970, 1, 1).toordinal() + int(days[0]))
        return day if before is None else max(before, day)


@dataclass(slots=True)
class Idleness:
    """Which partitions are idle: read to their end and silent for `idle_timeout`. Times are seconds of a monotonic clock.

    A partition that is at its end and has shown no event since this began is idle at once: there is nothing to wait for.
    """

    idle_timeout: timedelta
    _last_event: dict[Partition, float] = field(default_factory=dict)

    def observe(self, seen: Set[Partition], now: float) -> None:
        """Events came from these partitions."""
        self._last_event.update(dict.fromkeys(seen, now))

    def idle(self, at_end: Set[Partition], now: float) -> frozenset[Partition]:
        """Those of the partitions at their end that hold nobody back any more."""
        limit = now - self.idle_timeout.total_seconds()
        return frozenset(p for p in at_end if self._last_event.get(p, -np.inf) <= limit)
