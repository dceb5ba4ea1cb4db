"""Messages from Kafka: partitions assigned by hand, and nothing handed out that might be of another log than the position's."""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NoReturn, cast

import structlog
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from worker import config
from worker.errors import Unavailable
from worker.events import Message, MessageBatch, NextOffset, Partition, Position, Stream
from worker.source import Identity
from worker.source.broker import Broker, Topic
from worker.source.consumer import (
    CHUNK,
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
    to_assign,
    told_apart,
    unreadable,
)
from worker.source.losses import Acceptances, loss, name, starting_position

log = structlog.get_logger()

DOUBT_SECONDS = 5.0  # after the broker was away, in which no partition is taken to be at its end


class KafkaSource:
    """A Source over all partitions of the configured topics, as read_committed sees them.

    What poll() hands out is of the topics that start() returned: they are asked for again after messages were fetched and before they
    are handed out, so that a topic deleted and created again can't be taken for its predecessor. Partitions that were added are found
    by the same answer. mirror() may be called from another thread than the rest.
    """

    def __init__(self, settings: config.Kafka, accept: Acceptances | None = None) -> None:
        """Raises ConfigError where the options are wrong; needs no broker yet."""
        self._stream_of = {topic: stream for stream, topic in settings.topics.items()}
        self._servers = settings.bootstrap_servers
        self._accept = accept or Acceptances()
        self._broker = Broker(settings)
        self._consumer = consumer_of(settings, self._broker)
        self._identity = Identity("")
        self._next: dict[Partition, NextOffset] = {}
        self._end: dict[Partition, int] = {}  # where the last end-of-partition event came
        self._assigned: frozenset[Partition] = frozenset()
        self._has_read = False  # anything since the start
        self._room = Room()
        self._doubted_until = 0.0
        self._leaderless: list[str] = []
        self._fault: Event | None = None  # the error event that the next poll will raise
        self._closed = False
        self._clear()

    def topics(self) -> dict[Stream, str]:
        return {stream: topic for topic, stream in self._stream_of.items()}

    def start(self, position: Position, identity: Identity | None) -> Identity:
        log.info("source_connecting", bootstrap_servers=self._servers, topics=sorted(self._stream_of))
        topics = self._broker.topics(self._stream_of, START_SECONDS)
        now = Identity(self._broker.cluster_id(START_SECONDS), {topic: told.id for topic, told in topics.items()})
        bounds = self._broker.bounds(_partitions(topics), START_SECONDS)
        self._next = starting_position(position, identity, now, bounds, self._accept)
        self._identity, self._end, self._fault = now, {}, None
        self._clear()
        self._moved.update(self._next)
        assign(self._consumer, self._next)
        self._assigned = frozenset(self._next)
        log.info("source_started", cluster_id=now.cluster_id, topics=sorted(topics), partitions=len(self._next))
        return now

    def poll(self, max_messages: int, max_wait: float) -> MessageBatch:
        self._gather(max_messages, min(max_wait, 0.5))
        self._broker.mirror_on()
        try:
            self._confirm()
        except Unavailable:
            self._doubted_until = time.monotonic() + DOUBT_SECONDS
            raise
        if self._fault and not self._room.count:
            self._raise_fault(self._fault)
        batch = MessageBatch(
            messages=self._gathered,
            position={partition: self._next[partition] for partition in self._moved},
            at_end=self._at_end(),
            log_end_offsets=self._log_end_offsets(),
        )
        self._clear()
        return batch

    def partitions(self) -> frozenset[Partition]:
        return self._assigned

    def mirror(self, position: Position) -> None:
        self._broker.mirror(position)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._broker.close()
            self._consumer.close()

    def _gather(self, max_messages: int, max_wait: float) -> None:
        """Collect until there are `max_messages` (or BATCH_BYTES) or `max_wait` is over; what a poll before could not hand out counts.

        While messages keep coming and the end is not in sight, it is FILL_SECONDS: who is behind gains by large batches. But not for the
        first that come: a worker that has just started is soon to show that it works.
        """
        began = time.monotonic()
        while self._fault is None and (room := self._room.left(max_messages)) > 0:
            left = began + max_wait - time.monotonic()
            count = self._room.count
            self._take(self._consumer.consume(room, left if left > 0 else min(max_wait, FILL_SLICE)))
            is_behind = self._room.count > count and self._lag() > CHUNK and time.monotonic() - began < FILL_SECONDS
            if left <= 0 and not (is_behind and self._has_read):
                break
        self._has_read |= self._room.count > 0

    def _at_end(self) -> frozenset[Partition]:
        """Partitions read to their end. After some of the log was away, none is for a while: what came meanwhile is not fetched yet."""
        if time.monotonic() < self._doubted_until:
            return frozenset()
        return frozenset(partition for partition, end in self._end.items() if end >= self._next[partition].offset)

    def _lag(self) -> int:
        """Messages (and transaction markers) that the log has and this has not, as far as the broker has told."""
        return sum(max(0, end - self._next[partition].offset) for partition, end in self._log_end_offsets().items())

    def _take(self, fetched: list[KafkaMessage]) -> None:
        # Per message there are a few calls from C to C here, and no line of Python.
        messages, events = told_apart(fetched)
        self._room.took(messages)
        for topic, run in cast("Iterable[tuple[str, Iterator[Fetched]]]", groupby(messages, KafkaMessage.topic)):
            of_topic = list(run)
            self._gathered[self._stream_of[topic]] += of_topic
            # Each partition's last message: the later one with a key replaces the earlier one.
            for number, last in {message.partition(): message for message in of_topic}.items():
                self._move(Partition(topic, number), NextOffset(last.offset() + 1, last.leader_epoch()))
        for event in events:
            self._take_event(event)

    def _take_event(self, event: Event) -> None:
        if event.error.code() == KafkaError._PARTITION_EOF:
            self._end[event.partition] = event.offset
            # Transaction markers lie between the last message and the end. They may be of a later leader epoch, which is not told.
            if event.offset > self._next[event.partition].offset:
                self._move(event.partition, NextOffset(event.offset))
        elif event.error.code() not in CONFIRMED and self._fault is None:
            self._fault = event

    def _move(self, partition: Partition, next_offset: NextOffset) -> None:
        self._next[partition] = next_offset
        self._moved.add(partition)

    def _confirm(self) -> None:
        """Ask what the topics are now: raises if they are not those of the start, and reads partitions that were added."""
        topics = self._broker.topics(self._stream_of, CONFIRM_SECONDS)
        self._note_leaders(topics)
        partitions = _partitions(topics)
        now = Identity(self._identity.cluster_id, {topic: told.id for topic, told in topics.items()})
        if now != self._identity:
            starting_position(self._next, self._identity, now, self._broker.bounds(partitions, CONFIRM_SECONDS), Acceptances())
        if added := [partition for partition in partitions if partition not in self._next]:
            bounds = self._broker.bounds(added, CONFIRM_SECONDS)
            starts = {partition: NextOffset(bound.start) for partition, bound in bounds.items()}
            self._consumer.incremental_assign(to_assign(starts))
            self._next |= starts
            self._moved |= starts.keys()
            self._assigned = frozenset(self._next)
            log.info("partitions_added", partitions=[name(partition) for partition in added])

    def _note_leaders(self, topics: Mapping[str, Topic]) -> None:
        """A part of the log is away where partitions have no leader: the others are read on, and the watermark does not pass these."""
        leaderless = [name(Partition(topic, number)) for topic, told in topics.items() for number in told.leaderless]
        if leaderless:
            self._doubted_until = time.monotonic() + DOUBT_SECONDS
        if leaderless != self._leaderless:
            self._leaderless = leaderless
            log.warning("partitions_without_leader", partitions=leaderless or "none any more")

    def _raise_fault(self, event: Event) -> NoReturn:
        partition, error = event.partition, event.error
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            bounds = self._broker.bounds(self._next, START_SECONDS)
            starting_position(self._next, self._identity, self._identity, bounds, Acceptances())
            raise loss({f"partition {name(partition)}: {error.str()}": f"--accept-lost-offsets {partition.topic}"})
        raise unreadable(event, self._next[partition].offset)

    def _log_end_offsets(self) -> dict[Partition, int]:
        """As told with the last messages fetched: costs no question."""
        ends = {partition: self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)[1] for partition in self._next}
        return {partition: end for partition, end in ends.items() if end >= 0}

    def _clear(self) -> None:
        """What was gathered is handed out, or not wanted."""
        self._gathered: dict[Stream, list[Message]] = {stream: [] for stream in self._stream_of.values()}
        self._room.clear()
        self._moved: set[Partition] = set()


def _partitions(topics: Mapping[str, Topic]) -> list[Partition]:
    return [Partition(topic, number) for topic, told in topics.items() for number in range(told.partitions)]
