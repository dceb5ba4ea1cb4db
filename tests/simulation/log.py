"""A log in memory, read as a broker's is: by partition, in pieces of any size, from any position on, or by ranges beside that."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from random import Random

from tests.support.messages import EPOCH, Produced
from worker.events import MessageBatch, NextOffset, Origin, Partition, Position, Stream
from worker.source import Identity
from worker.source.broker import Topic
from worker.source.losses import Bounds
from worker.source.ranges import Range, check_held, check_identity

MOST_MESSAGES = 400


class SimulatedLog:
    """A worker.source.Source of messages that were made before; those that arrive up to `visible_until` can be read.

    A poll brings from 1 to MOST_MESSAGES messages: mostly those that arrived first, at times of some partitions only, so that
    others lag.
    """

    def __init__(self, messages: Sequence[Produced], random: Random) -> None:
        self.visible_until = EPOCH
        self._random = random
        self._partitions: dict[Partition, list[Produced]] = defaultdict(list)
        for message in messages:
            self._partitions[Partition(message.topic(), message.partition())].append(message)
        self._read: dict[Partition, int] = dict.fromkeys(self._partitions, 0)

    def start(self, position: Position, identity: Identity | None) -> Identity:
        for partition, messages in self._partitions.items():
            after = position.get(partition, NextOffset(0))
            self._read[partition] = bisect_left(messages, after.offset, key=lambda message: message.offset())
        mine = self.identity()
        assert identity is None or identity.cluster_id == mine.cluster_id
        assert identity is None or identity.topic_ids.items() <= mine.topic_ids.items()
        return mine

    def poll(self, max_messages: int, max_wait: float) -> MessageBatch:
        waiting = {partition: self._waiting(partition) for partition in self._some_partitions()}
        in_order = sorted((message for messages in waiting.values() for message in messages), key=lambda message: message.arrived_at)
        taken = in_order[: min(max_messages, self._random.choice((1, 30, 100, MOST_MESSAGES)))]
        messages: dict[Stream, list[Produced]] = defaultdict(list)
        position = {}
        for message in taken:
            partition = Partition(message.topic(), message.partition())
            messages[Stream(message.stream)].append(message)
            self._read[partition] += 1
            position[partition] = self._next_offset(partition, message)
        return MessageBatch(messages, position, at_end=frozenset(p for p in self._partitions if not self._waiting(p)))

    def topics(self) -> Mapping[Stream, str]:
        return {Stream(partition.topic): partition.topic for partition in self._partitions}

    def partitions(self) -> frozenset[Partition]:
        return frozenset(self._partitions)

    def mirror(self, position: Position) -> None:
        pass

    def close(self) -> None:
        pass

    def identity(self) -> Identity:
        return Identity("a cluster", {topic: f"id of {topic}" for topic in self.topics().values()})

    def held(self, partition: Partition) -> list[Produced]:
        """What the partition holds now."""
        return [message for message in self._partitions.get(partition, ()) if message.arrived_at <= self.visible_until]

    def bounds(self, partition: Partition) -> Bounds:
        """The log ends right before the message that comes next: what lies between are transaction markers."""
        messages, held = self._partitions.get(partition, []), self.held(partition)
        if not messages:
            return Bounds(0, 0)
        ends = [message.offset() for message in messages[len(held) : len(held) + 1]] or [messages[-1].offset() + 1]
        return Bounds(messages[0].offset(), ends[0])

    def arrivals(self) -> list[datetime]:
        """When the messages that were not read yet arrive, ascending."""
        return sorted(message.arrived_at for partition, read in self._read.items() for message in self._partitions[partition][read:])

    def _waiting(self, partition: Partition) -> list[Produced]:
        unread = self._partitions[partition][self._read[partition] :]
        return [message for message in unread if message.arrived_at <= self.visible_until]

    def _some_partitions(self) -> list[Partition]:
        partitions = sorted(self._partitions)
        return self._random.sample(partitions, self._random.randint(1, len(partitions))) if self._random.random() < 0.3 else partitions

    def _next_offset(self, partition: Partition, message: Produced) -> NextOffset:
        """One more than the message's, or past the gap behind it."""
        following = self._partitions[partition][self._read[partition] :][:1]
        ends = [message.offset() + 1, *(after.offset() for after in following)]
        return NextOffset(self._random.choice(ends), self._random.choice((None, 4)))


class SimulatedBroker:
    """Answers for a SimulatedLog as source.broker.Broker does."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log

    def cluster_id(self, timeout: float) -> str:
        return self._log.identity().cluster_id

    def topics(self, names: Iterable[str], timeout: float) -> dict[str, Topic]:
        partitions = 1 + max(partition.number for partition in self._log.partitions())
        return {name: Topic(self._log.identity().topic_ids[name], partitions) for name in names}

    def bounds(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, Bounds]:
        return {partition: self._log.bounds(partition) for partition in partitions}

    def offsets_at(self, timestamp_ms: int, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int]:
        offsets = {
            partition: [message.offset() for message in self._log.held(partition) if message.timestamp()[1] >= timestamp_ms]
            for partition in partitions
        }
        return {partition: min(found) for partition, found in offsets.items() if found}


class SimulatedRangeReader:
    """A RangeReader on a SimulatedLog: a poll brings any number of messages, at times none, of some of the partitions."""

    def __init__(self, log: SimulatedLog, ranges: Mapping[Partition, Range], identity: Identity, random: Random) -> None:
        check_identity(identity, log.identity())
        check_held(ranges, {partition: log.bounds(partition) for partition in ranges})
        self._log = log
        self._left = dict(ranges)
        self._random = random

    @property
    def is_done(self) -> bool:
        return not self._left

    def poll(self, max_messages: int) -> MessageBatch:
        messages: dict[Stream, list[Produced]] = defaultdict(list)
        position: dict[Partition, NextOffset] = {}
        room = min(max_messages, self._random.choice((0, 3, 30, 100)))
        for partition in self._random.sample(sorted(self._left), self._random.randint(1, len(self._left))):
            asked = self._left[partition]
            held = [message for message in self._log.held(partition) if asked.first <= message.offset() < asked.end]
            taken, room = held[:room], room - len(held[:room])
            messages[Stream(partition.topic)] += taken
            after = taken[-1].offset() + 1 if taken else asked.first
            self._left[partition] = Range(asked.end if len(taken) == len(held) else after, asked.end)
            position[partition] = NextOffset(self._left[partition].first)
            if not self._left[partition].size:
                del self._left[partition]
        return MessageBatch(messages, position, origin=Origin.REPLAY)

    def close(self) -> None:
        pass
