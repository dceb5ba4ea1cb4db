"""A log in memory and a Source on it, held to the same contract suite as KafkaSource (tests/contract/test_source.py)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from tests.support.messages import Produced
from worker.errors import Unavailable
from worker.events import Message, MessageBatch, NextOffset, Partition, Position, Stream
from worker.source import Identity
from worker.source.losses import Acceptances, Bounds, starting_position

_topic_ids = count(1)


@dataclass
class FakeTopic:
    """Partitions as lists of messages, of which those before `starts[number]` are deleted."""

    partitions: list[list[Message]]
    starts: list[int]
    id: str = field(default_factory=lambda: f"topic-{next(_topic_ids)}")


@dataclass
class FakeLog:
    """A broker's state. While `is_away`, every source on it raises Unavailable."""

    cluster_id: str = "cluster-1"
    topics: dict[str, FakeTopic] = field(default_factory=dict)
    is_away: bool = False
    group: dict[Partition, int] = field(default_factory=dict)

    def create(self, topic: str, partitions: int) -> None:
        self.topics[topic] = FakeTopic([[] for _ in range(partitions)], [0] * partitions)

    def put(self, messages: Iterable[Produced]) -> None:
        """Append messages to the partitions that they name; their offsets are given here."""
        for message in messages:
            partition = self.topics[message.topic()].partitions[message.partition()]
            partition.append(replace(message, offset_number=len(partition)))

    def replace(self, topic: str, partitions: int) -> None:
        """Delete the topic and create it again."""
        self.delete(topic)
        self.create(topic, partitions)

    def delete(self, topic: str) -> None:
        del self.topics[topic]

    def delete_before(self, partition: Partition, offset: int) -> None:
        self.topics[partition.topic].starts[partition.number] = offset

    def add_partitions(self, topic: str, total: int) -> None:
        added = total - len(self.topics[topic].partitions)
        self.topics[topic].partitions.extend([] for _ in range(added))
        self.topics[topic].starts.extend([0] * added)

    def mirrored(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's committed offsets."""
        return {partition: self.group[partition] for partition in partitions}

    def source(self, topics: Mapping[Stream, str], accept: Acceptances | None = None) -> "FakeSource":
        return FakeSource(self, topics, accept or Acceptances())


class FakeSource:
    """Reads partition after partition, never waits."""

    def __init__(self, log: FakeLog, topics: Mapping[Stream, str], accept: Acceptances) -> None:
        self._log = log
        self._topics = dict(topics)
        self._accept = accept
        self._identity = Identity("")
        self._next: dict[Partition, NextOffset] = {}
        self._moved: set[Partition] = set()

    def topics(self) -> Mapping[Stream, str]:
        return self._topics

    def partitions(self) -> frozenset[Partition]:
        return frozenset(self._next)

    def start(self, position: Position, identity: Identity | None) -> Identity:
        bounds, now = self._bounds(), self._identity_now()
        self._next = starting_position(position, identity, now, bounds, self._accept)
        self._moved = set(self._next)
        self._identity = now
        return now

    def poll(self, max_messages: int, max_wait: float) -> MessageBatch:
        bounds = self._bounds()
        added = {partition: NextOffset(bound.start) for partition, bound in bounds.items() if partition not in self._next}
        self._next |= added
        starting_position(self._next, self._identity, self._identity_now(), bounds, Acceptances())
        self._moved |= added.keys()
        messages: dict[Stream, list[Message]] = {stream: [] for stream in self._topics}
        for stream, topic in self._topics.items():
            for number in range(len(self._log.topics[topic].partitions)):
                room = max_messages - sum(map(len, messages.values()))
                messages[stream] += self._read(Partition(topic, number), room)
        batch = MessageBatch(
            messages=messages,
            position={partition: self._next[partition] for partition in self._moved},
            at_end=frozenset(partition for partition, bound in bounds.items() if self._next[partition].offset == bound.end),
            log_end_offsets={partition: bound.end for partition, bound in bounds.items()},
        )
        self._moved = set()
        return batch

    def mirror(self, position: Position) -> None:
        self._log.group |= {partition: next_offset.offset for partition, next_offset in position.items()}

    def close(self) -> None:
        pass

    def _read(self, partition: Partition, at_most: int) -> list[Message]:
        offset = self._next[partition].offset
        messages = self._log.topics[partition.topic].partitions[partition.number][offset : offset + at_most]
        if messages:
            self._next[partition] = NextOffset(offset + len(messages), 0)
            self._moved.add(partition)
        return messages

    def _identity_now(self) -> Identity:
        return Identity(self._log.cluster_id, {topic: self._log.topics[topic].id for topic in self._topics.values()})

    def _bounds(self) -> dict[Partition, Bounds]:
        if self._log.is_away:
            raise Unavailable("the log is away", "It is waited for.")
        if missing := [topic for topic in self._topics.values() if topic not in self._log.topics]:
            raise Unavailable(f"topic {missing[0]} does not exist", "It is waited for.")
        return {
            Partition(topic, number): Bounds(start, len(messages))
            for topic in self._topics.values()
            for number, (start, messages) in enumerate(zip(self._log.topics[topic].starts, self._log.topics[topic].partitions, strict=True))
        }
