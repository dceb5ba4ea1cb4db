"""A RangeReader on a log in memory, and what a Broker would tell of it; held to the contract suite of the real one."""

from collections.abc import Iterable, Mapping

from tests.support.fake_source import FakeLog
from worker.errors import Unavailable
from worker.events import Message, MessageBatch, NextOffset, Origin, Partition, Stream
from worker.source import Identity
from worker.source.broker import Topic
from worker.source.losses import Bounds
from worker.source.ranges import Range, check_held, check_identity


class FakeBroker:
    """Answers for a FakeLog as source.broker.Broker does."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log

    def cluster_id(self, timeout: float) -> str:
        return self._log.cluster_id

    def topics(self, names: Iterable[str], timeout: float) -> dict[str, Topic]:
        if self._log.is_away:
            raise Unavailable("the log is away", "It is waited for.")
        return {name: Topic(self._log.topics[name].id, len(self._log.topics[name].partitions)) for name in names}

    def bounds(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, Bounds]:
        return {
            partition: Bounds(self._log.topics[partition.topic].starts[partition.number], len(self._messages(partition)))
            for partition in partitions
        }

    def offsets_at(self, timestamp_ms: int, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int]:
        found = {}
        for partition, bound in self.bounds(partitions, timeout).items():
            held = self._messages(partition)[bound.start :]
            offsets = [message.offset() or 0 for message in held if message.timestamp()[1] >= timestamp_ms]
            if offsets:
                found[partition] = min(offsets)
        return found

    def _messages(self, partition: Partition) -> list[Message]:
        return self._log.topics[partition.topic].partitions[partition.number]


class FakeRangeReader:
    """Reads partition after partition, never waits."""

    def __init__(
        self,
        log: FakeLog,
        topics: Mapping[Stream, str],
        ranges: Mapping[Partition, Range],
        identity: Identity,
        origin: Origin = Origin.REPLAY,
    ) -> None:
        self._log = log
        self._broker = FakeBroker(log)
        self._stream_of = {topic: stream for stream, topic in topics.items()}
        self._left = {partition: Range(*asked) for partition, asked in ranges.items() if asked.size > 0}
        self._identity = identity
        self._origin = origin

    @property
    def is_done(self) -> bool:
        return not self._left

    def poll(self, max_messages: int) -> MessageBatch:
        told = self._broker.topics({partition.topic for partition in self._left}, 0)
        check_identity(self._identity, Identity(self._log.cluster_id, {topic: each.id for topic, each in told.items()}))
        check_held(self._left, self._broker.bounds(self._left, 0))
        messages: dict[Stream, list[Message]] = {self._stream_of[partition.topic]: [] for partition in self._left}
        position: dict[Partition, NextOffset] = {}
        for partition, (first, end) in list(self._left.items()):
            room = max_messages - sum(map(len, messages.values()))
            after = min(end, first + room)
            messages[self._stream_of[partition.topic]] += self._log.topics[partition.topic].partitions[partition.number][first:after]
            self._left[partition] = Range(after, end)
            if after > first:
                position[partition] = NextOffset(after)
            if after == end:
                del self._left[partition]
        return MessageBatch(messages, position, origin=self._origin)

    def close(self) -> None:
        pass
