"""Ranges of the log, read once more beside the live stream: exactly the messages asked for, or an error that says which are gone."""

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from worker import config
from worker.errors import ConfigError, SourceError
from worker.events import Message, MessageBatch, NextOffset, Origin, Partition, Stream
from worker.source import Identity
from worker.source.broker import Broker
from worker.source.consumer import (
    CONFIRM_SECONDS,
    CONFIRMED,
    FILL_SECONDS,
    FILL_SLICE,
    START_SECONDS,
    Event,
    Fetched,
    Room,
    assign,
    consumer_of,
    told_apart,
    unreadable,
)
from worker.source.losses import Bounds, name

WAIT_SECONDS = 0.5  # for which a poll waits for a first message

FROM_AN_ARCHIVE = "What is gone, from an archive:  tidemark backfill --from-archive DIR"


class Range(NamedTuple):
    """Offsets of one partition: from `first` on, up to and without `end`."""

    first: int
    end: int

    @property
    def size(self) -> int:
        """Offsets in it: so many messages at most."""
        return self.end - self.first


class RangeReader:
    """Reads each range from its first offset to its end, as read_committed sees it; then there is nothing more.

    The offsets are those of `identity`: before the start and before anything is handed out the topics are asked for, so that no message
    of a replaced topic gets through. Nothing is committed to the broker. Used from one thread.
    """

    def __init__(
        self, settings: config.Kafka, ranges: Mapping[Partition, Range], identity: Identity, origin: Origin = Origin.REPLAY
    ) -> None:
        """Raises ConfigError where a topic is not configured or the options are wrong; needs no broker yet."""
        self._stream_of = {topic: stream for stream, topic in settings.topics.items()}
        self._identity = identity
        self._origin = origin
        self._next = {partition: asked.first for partition, asked in ranges.items()}
        self._left = {partition: asked.end for partition, asked in ranges.items() if asked.size > 0}  # not read to their end yet
        self._topics = sorted({partition.topic for partition in self._left})
        if foreign := [topic for topic in self._topics if topic not in self._stream_of]:
            raise ConfigError(f"not among kafka.topics: {', '.join(foreign)}", "Name each topic under the stream that it holds.")
        self._broker = Broker(settings)
        self._consumer = consumer_of(settings, self._broker)
        self._room = Room()
        self._is_started = False
        self._is_closed = False
        self._fault: Event | None = None  # the error event that the next poll without messages will raise
        self._clear()

    @property
    def is_done(self) -> bool:
        """Whether all ranges were read and handed out."""
        return not self._left and not self._moved

    def poll(self, max_messages: int) -> MessageBatch:
        """Up to `max_messages` messages; may be empty. `position` says where reading goes on, in the partitions where it moved.

        Waits half a second at most for a first message, and up to two while more are coming. Raises Unavailable (call again; nothing is
        lost or doubled), and SourceError where the topic or cluster is another one, or offsets of a range are gone.
        """
        if self.is_done:
            return MessageBatch({}, origin=self._origin)
        if not self._is_started:
            self._start()
        self._gather(max_messages)
        self._confirm(CONFIRM_SECONDS)
        if not self._room.count and self._left:
            self._check_held(CONFIRM_SECONDS)
            if self._fault is not None:
                raise unreadable(self._fault, self._next[self._fault.partition])
        batch = MessageBatch(
            self._gathered, {partition: NextOffset(self._next[partition]) for partition in self._moved}, origin=self._origin
        )
        self._clear()
        return batch

    def close(self) -> None:
        """Let go of the log. May be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._consumer.close()
            self._broker.close()

    def _start(self) -> None:
        self._confirm(START_SECONDS)
        self._check_held(START_SECONDS)
        assign(self._consumer, {partition: NextOffset(self._next[partition]) for partition in self._left})
        self._is_started = True

    def _confirm(self, timeout: float) -> None:
        topics = self._broker.topics(self._topics, timeout)
        check_identity(self._identity, Identity(self._broker.cluster_id(timeout), {topic: told.id for topic, told in topics.items()}))

    def _check_held(self, timeout: float) -> None:
        left = {partition: Range(self._next[partition], end) for partition, end in self._left.items()}
        check_held(left, self._broker.bounds(left, timeout))

    def _gather(self, max_messages: int) -> None:
        """Collect until there are `max_messages` (or BATCH_BYTES), all is read or the time is over.

        What a poll before could not hand out counts.
        """
        began = time.monotonic()
        while self._left and self._fault is None and (room := self._room.left(max_messages)) > 0:
            fetched = self._consumer.consume(room, FILL_SLICE)
            self._take(fetched)
            if time.monotonic() - began > (FILL_SECONDS if fetched else WAIT_SECONDS):
                break

    def _take(self, fetched: list[KafkaMessage]) -> None:
        messages, events = told_apart(fetched)
        for place, run in groupby(messages, lambda message: (message.topic(), message.partition())):
            self._take_run(Partition(*place), list(run))
        for event in events:
            self._take_event(event)

    def _take_run(self, partition: Partition, run: Sequence[Fetched]) -> None:
        """Messages of one partition, ascending by offset; of those past the end of its range only that they are there counts."""
        if partition not in self._left:
            return
        within = run[: bisect_left(run, self._left[partition], key=lambda message: message.offset())]
        self._gathered[self._stream_of[partition.topic]] += within
        self._room.took(within)
        self._move(partition, run[-1].offset() + 1)

    def _take_event(self, event: Event) -> None:
        if event.partition not in self._left:
            return
        if event.error.code() == KafkaError._PARTITION_EOF:
            self._move(event.partition, event.offset)  # past transaction markers, and what compaction took
        elif event.error.code() not in CONFIRMED and self._fault is None:
            self._fault = event

    def _move(self, partition: Partition, next_offset: int) -> None:
        """Nothing is left before `next_offset`; at the end of its range the partition is let go, or it would fill the queue."""
        end = self._left[partition]
        if next_offset > self._next[partition]:
            self._next[partition] = min(next_offset, end)
            self._moved.add(partition)
        if next_offset >= end:
            del self._left[partition]
            self._consumer.incremental_unassign([TopicPartition(*partition)])

    def _clear(self) -> None:
        """What was gathered is handed out."""
        self._gathered: dict[Stream, list[Message]] = {self._stream_of[topic]: [] for topic in self._topics}
        self._room.clear()
        self._moved: set[Partition] = set()


def check_identity(belong_to: Identity, now: Identity) -> None:
    """Whether offsets of `belong_to` mean the same messages in the log as it is now. Raises SourceError."""
    if belong_to.cluster_id != now.cluster_id:
        raise SourceError(
            f"this is another cluster: the offsets belong to cluster id {belong_to.cluster_id}, the broker says {now.cluster_id}",
            "Nothing of it was read. Set kafka.bootstrap_servers to the cluster that was read before.",
        )
    faults = [
        f"topic {topic} was replaced: the offsets belong to topic id {belong_to.topic_ids[topic]}, the broker has {topic_id}"
        for topic, topic_id in sorted(now.topic_ids.items())
        if belong_to.topic_ids.get(topic, topic_id) != topic_id
    ]
    if faults:
        raise SourceError("\n".join(faults), f"Nothing of the new topic was read: its offsets hold other messages.\n{FROM_AN_ARCHIVE}")


def check_held(ranges: Mapping[Partition, Range], bounds: Mapping[Partition, Bounds]) -> None:
    """Whether the log has all of these ranges. Raises SourceError, naming every partition of which offsets are gone."""
    faults: list[str] = []
    remedies: list[str] = []
    for partition, (first, end) in sorted(ranges.items()):
        start, log_end = bounds[partition]
        if end > log_end:
            faults.append(f"partition {name(partition)}: the range ends at {end:,}, the log at {log_end:,}: it was cut or restored")
        if first < start:
            gone = min(start, end) - first
            faults.append(f"partition {name(partition)}: offset {first:,} is gone, the log starts at {start:,} now: {gone:,} were deleted")
        if first < start < end:
            command = f"tidemark replay --topic {partition.topic} --partition {partition.number} --from {start} --to {end}"
            remedies.append(f"What the log still has:  {command}")
    if faults:
        raise SourceError("\n".join(faults), "\n".join([*remedies, FROM_AN_ARCHIVE]))
