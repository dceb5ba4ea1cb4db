"""Day and hour of an instant in the reporting time zone, for whole columns at once."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_HOUR_MICROS = 3_600_000_000
_STRIDE = timedelta(days=5)


def micros(moment: datetime) -> int:
    """UTC micros since the epoch."""
    return (moment - _EPOCH) // _MICRO


_FIRST, _LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
EARLIEST = micros(_FIRST)  # nothing that happened before is accepted


class ReportingZone:
    """The time zone of the days. Exact from 1980 to 2100; outside, the nearest offset goes on. Raises ZoneInfoNotFoundError."""

    def __init__(self, name: str) -> None:
        self.name = name
        starts, offsets = _periods(ZoneInfo(name))
        self._starts = np.array(starts, np.int64)
        self._offsets = np.array(offsets, np.int64)

    def day_and_hour(self, instants: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        """Of instants in UTC micros: the local day (days since 1970-01-01) and the hour on the clock, 0-23.

        The repeated hour of a change to winter time is one hour; an hour that is left out does not occur.
        """
        hours = (instants + self._offset(instants)) // _HOUR_MICROS
        days = hours // 24
        return days.astype(np.int32), (hours - days * 24).astype(np.int8)

    def _offset(self, instants: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(self._offsets) == 1:
            return self._offsets
        period = np.searchsorted(self._starts, instants, side="right") - 1
        return np.take(self._offsets, np.maximum(period, 0))


@cache  # 9,000 questions to the calendar
def _periods(zone: ZoneInfo) -> tuple[list[int], list[int]]:
    """Since which instant the zone is how far ahead of UTC, both in micros. No zone changes twice within five days."""

    def offset(at: datetime) -> timedelta:
        return at.astimezone(zone).utcoffset() or timedelta(0)

    at, known = _FIRST, offset(_FIRST)
    starts, offsets = [micros(at)], [known // _MICRO]
    while at < _LAST:
        following = at + _STRIDE
        if (new := offset(following)) != known:
            seconds = bisect_left(range(int(_STRIDE.total_seconds())), True, key=lambda s: offset(at + timedelta(seconds=s)) == new)
            starts.append(micros(at + timedelta(seconds=seconds)))
            offsets.append(new // _MICRO)
            known = new
        at = following
    return starts, offsets
