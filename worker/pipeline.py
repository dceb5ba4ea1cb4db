"""The way of the data, in code: poll, decode, observe, merge and commit, publish.

`poll` and `decode` may run in one thread and `step` in another; tests call all of them in one.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np

from worker.aggregate import Accounting
from worker.committer import Committer, StepResult
from worker.config import Settings
from worker.decode import Decoder
from worker.decode.calendar import ReportingZone
from worker.errors import TooManyRejected
from worker.events import EventBatch, MessageBatch, NextOffset, Partition, Stream
from worker.source import Identity, Source
from worker.store import Store, StoreState
from worker.watermark import Idleness, WatermarkRules, WatermarkState

# The column that moves the watermark; dimensions take no part.
_EVENT_TIME = {Stream.ORDERS: "updated_at", Stream.TOUCHPOINTS: "occurred_at"}
_JUDGED_MESSAGES = 10_000


class Pipeline:
    """One worker's way from a source to a store. The clock is the caller's: `now` is UTC, `tick` seconds of a monotonic clock."""

    def __init__(self, source: Source, decoder: Decoder, store: Store, settings: Settings) -> None:
        self._source = source
        self._decoder = decoder
        self._settings = settings
        self._rules = WatermarkRules(
            ReportingZone(settings.time.reporting_time_zone), settings.time.watermark_delay, settings.time.allowed_lateness
        )
        self._idleness = Idleness(settings.time.idle_timeout)
        self._rejected_share = RejectedShare()
        self.committer = Committer(store, settings)
        self._identity: Identity | None = None
        self._read_here: dict[Partition, NextOffset] = {}  # what this process has moved on: an accepted loss may set back what it found

    @property
    def state(self) -> StoreState:
        """What was last committed."""
        return self.committer.state

    def start(self, tick: float) -> None:
        """Take up the log where the file stands. Raises Unavailable (call again), SourceError."""
        self._identity = self._source.start(self.state.position, self.state.identity)
        self._idleness.observe(self.state.watermark.newest.keys(), tick)

    def poll(self) -> MessageBatch:
        """The next messages, as many as one commit may hold, waiting for company no longer than the settings say.

        Raises Unavailable, SourceError.
        """
        return self._source.poll(self._settings.batch.max_messages, self._settings.batch.max_delay.total_seconds())

    def decode(self, messages: MessageBatch, now: datetime) -> EventBatch:
        """Bytes to events. Raises Unavailable where the registry is away (call again with the same messages), Fatal where it refuses."""
        batch = self._decoder.decode(messages, now)
        may_expire = self._settings.retention.days is not None or self.state.sealed_before is not None
        return batch if may_expire else replace(batch, messages=messages.without_bytes())

    def step(self, batch: EventBatch, now: datetime, tick: float) -> StepResult:
        """Merge one decoded batch and commit it with its position. Nothing is visible before the commit.

        Raises StoreError (rolled back), PositionConflict (another writer), TooManyRejected (nothing was committed).
        """
        assert self._identity is not None, "start() comes first"
        before = self.state
        self._rejected_share.judge(batch, self._settings)
        watermark = self._observe(batch, tick)
        position = self._moved_position(batch.messages)
        if not len(batch.messages) and not position and watermark == before.watermark:
            return StepResult(before.commit_id, Accounting.of(batch), watermark, is_empty=True)
        result = self.committer.commit(batch, now, identity=self._identity, position=position, watermark=watermark)
        self._read_here.update(position)
        self._source.mirror(position)
        return result

    def _observe(self, batch: EventBatch, tick: float) -> WatermarkState:
        """The watermark after this batch."""
        seen = newest_event_times(batch, self._source.topics())
        self._idleness.observe(seen.keys(), tick)
        topics = {topic for stream, topic in self._source.topics().items() if stream in _EVENT_TIME}
        partitions = frozenset(p for p in self._source.partitions() if p.topic in topics)
        idle = self._idleness.idle(self._read_out(batch.messages) & partitions, tick)
        return self._rules.advanced(self.state.watermark, seen, partitions, idle)

    def _read_out(self, messages: MessageBatch) -> frozenset[Partition]:
        """Partitions at their end, but for those whose log goes on: behind a transaction that is still open, messages wait to be read."""
        position, log_ends = {**self.state.position, **messages.position}, messages.log_end_offsets
        return frozenset(p for p in messages.at_end if p not in log_ends or log_ends[p] <= position[p].offset)

    def _moved_position(self, messages: MessageBatch) -> dict[Partition, NextOffset]:
        """What moves in the stored position with this batch; a position never moves back."""
        moved = {p: n for p, n in messages.position.items() if self.state.position.get(p) != n}
        for partition, after in moved.items():
            known = self._read_here.get(partition, after)
            assert after.offset >= known.offset, f"{partition} would move back from {known} to {after}"
        return moved


class RejectedShare:
    """More than half of the last messages rejected: a wrong topic or schema, not bad records."""

    def __init__(self, judged: int = _JUDGED_MESSAGES) -> None:
        self._judged = judged
        self._batches: deque[tuple[int, int]] = deque()

    def judge(self, batch: EventBatch, settings: Settings) -> None:
        """Take the batch in. Raises TooManyRejected; then nothing of the batch is committed."""
        if not len(batch.messages):
            return
        self._batches.append((len(batch.messages), len(batch.rejected)))
        while sum(read for read, _ in self._batches) - self._batches[0][0] >= self._judged:
            self._batches.popleft()
        read, rejected = map(sum, zip(*self._batches, strict=True))
        if read >= self._judged and 2 * rejected > read:
            example = batch.rejected[-1] if batch.rejected else None
            where = f", the last at {example.topic}/{example.partition}, offset {example.offset}: {example.detail}" if example else ""
            topics = ", ".join(f"{stream} from {topic}" for stream, topic in settings.kafka.topics.items())
            raise TooManyRejected(
                f"{rejected:,} of the last {read:,} messages were rejected{where}",
                f"Is this the right topic and schema? It reads {topics} (kafka.topics). Nothing of this batch was committed: set it right, "
                "then start the worker again.",
            )


def newest_event_times(batch: EventBatch, topics: Mapping[Stream, str]) -> dict[Partition, int]:
    """The greatest event time (UTC microseconds) of each partition in the batch, of the streams that move the watermark."""
    newest: dict[Partition, int] = {}
    for stream, column in _EVENT_TIME.items():
        rows = batch.events.get(stream)
        if rows is None or not rows.num_rows:
            continue
        times = rows[column].cast("int64").to_numpy(zero_copy_only=False)
        partitions = rows["partition"].to_numpy(zero_copy_only=False)
        for number in np.unique(partitions):
            newest[Partition(topics[stream], int(number))] = int(times[partitions == number].max())
    return newest
