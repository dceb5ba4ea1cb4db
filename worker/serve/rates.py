"""How fast the worker is, by its own monotonic clock."""

from collections import deque
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

_WINDOW = 10.0  # seconds that a rate is measured over; longer where samples are further apart
_BUCKET = 5  # seconds of one figure of the history,
_BUCKETS = 60  # and how many there are


class Rates(BaseModel):
    """What happened in the last `seconds`. Sizes shrink at checkpoints, and offset_lag while the worker catches up.

    catch_up_seconds: until nothing is left to read, should it go on like this; None: the lag is unknown or does not shrink.
    history: messages a second, each figure over five seconds, oldest first, at most five minutes.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float
    messages_per_second: float
    commits_per_second: float
    file_bytes_per_second: float
    wal_bytes_per_second: float
    offset_lag_per_second: float | None
    catch_up_seconds: float | None
    history: tuple[float, ...]


class _Sample(NamedTuple):
    """The totals at a moment."""

    tick: float
    messages: int
    commits: int
    file_bytes: int
    wal_bytes: int
    offset_lag: int | None


class RateMeter:
    """Counts commits as they come, and turns the totals of two moments into rates. `tick`: seconds of a monotonic clock."""

    def __init__(self, tick: float) -> None:
        self._messages = 0
        self._commits = 0
        self._samples: deque[_Sample] = deque()
        self._bucket = int(tick // _BUCKET)
        self._in_bucket = 0
        self._history: deque[float] = deque(maxlen=_BUCKETS)

    def committed(self, tick: float, messages: int) -> None:
        """One commit more, of so many messages."""
        self._turn_to(tick)
        self._messages += messages
        self._commits += 1
        self._in_bucket += messages

    def rates(self, tick: float, *, file_bytes: int, wal_bytes: int, offset_lag: int | None) -> Rates | None:
        """Since a moment about ten seconds ago at which this was asked before; None the first time."""
        self._turn_to(tick)
        now = _Sample(tick, self._messages, self._commits, file_bytes, wal_bytes, offset_lag)
        while len(self._samples) > 1 and self._samples[1].tick <= tick - _WINDOW:
            self._samples.popleft()
        before = self._samples[0] if self._samples else now
        self._samples.append(now)
        if tick <= before.tick:
            return None
        return _between(before, now, tuple(self._history))

    def _turn_to(self, tick: float) -> None:
        """Put away the figures that are complete by now; where nothing came, zeros."""
        bucket = int(tick // _BUCKET)
        if bucket > self._bucket:
            self._history.append(self._in_bucket / _BUCKET)
            self._history.extend([0.0] * min(bucket - self._bucket - 1, _BUCKETS))
            self._bucket, self._in_bucket = bucket, 0


def _between(before: _Sample, now: _Sample, history: tuple[float, ...]) -> Rates:
    seconds = now.tick - before.tick
    shift = None if now.offset_lag is None or before.offset_lag is None else (now.offset_lag - before.offset_lag) / seconds
    return Rates(
        seconds=seconds,
        messages_per_second=(now.messages - before.messages) / seconds,
        commits_per_second=(now.commits - before.commits) / seconds,
        file_bytes_per_second=(now.file_bytes - before.file_bytes) / seconds,
        wal_bytes_per_second=(now.wal_bytes - before.wal_bytes) / seconds,
        offset_lag_per_second=shift,
        catch_up_seconds=now.offset_lag / -shift if now.offset_lag is not None and shift is not None and shift < 0 else None,
        history=history,
    )
