"""Ranges that are read in a test, on each of the logs, and all that they have brought."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.fake_ranges import FakeBroker, FakeRangeReader
from tests.support.fake_source import FakeLog
from tests.support.kafka_log import GROUP
from tests.support.reader import PATIENCE, Log
from worker.config import Kafka
from worker.errors import Unavailable
from worker.events import Message, MessageBatch, Origin, Partition, Stream
from worker.replay.feed import Reader
from worker.replay.plan import Log as AskedLog
from worker.source import Identity
from worker.source.broker import Broker
from worker.source.ranges import Range, RangeReader


@dataclass
class Reading:
    """A reader of ranges and all that it has brought."""

    reader: Reader
    batches: list[MessageBatch] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    position: dict[Partition, int] = field(default_factory=dict)

    def poll(self, max_messages: int = 1000) -> MessageBatch:
        batch = self.reader.poll(max_messages)
        self.batches.append(batch)
        self.messages += [message for messages in batch.messages.values() for message in messages]
        self.position |= {partition: after.offset for partition, after in batch.position.items()}
        return batch

    def read_all(self, max_messages: int = 1000) -> list[bytes | None]:
        """The values of all messages, once there is nothing more; what is away is waited for."""
        self.poll_until(lambda: self.reader.is_done, max_messages)
        return self.values()

    def poll_until(self, done: Callable[[], bool], max_messages: int = 1000) -> None:
        for _ in range(PATIENCE):
            if done():
                return
            with suppress(Unavailable):
                self.poll(max_messages)
        raise AssertionError(f"waited in vain; last: {self.batches[-1:]}")

    def values(self) -> list[bytes | None]:
        return [message.value() for message in self.messages]

    def offsets(self) -> dict[Partition, list[int]]:
        """Of the messages, in order of arrival within each partition."""
        offsets: dict[Partition, list[int]] = {}
        for message in self.messages:
            partition = Partition(message.topic() or "", message.partition() or 0)
            offsets.setdefault(partition, []).append(message.offset() or 0)
        return offsets


@contextmanager
def asking(log: Log) -> Iterator[AskedLog]:
    """What tells of the log."""
    if isinstance(log, FakeLog):
        yield FakeBroker(log)
        return
    with closing(Broker(Kafka(bootstrap_servers=log.bootstrap))) as broker:
        yield broker


def identity_of(log: Log, *topics: str) -> Identity:
    with asking(log) as asked:
        return Identity(asked.cluster_id(10), {topic: told.id for topic, told in asked.topics(topics, 10).items()})


@contextmanager
def reading_ranges(
    log: Log, ranges: Mapping[Partition, tuple[int, int]], identity: Identity | None = None, *, origin: Origin = Origin.REPLAY
) -> Iterator[Reading]:
    """A reader of `ranges` (first offset and end) on `log`; the first topic is that of orders, the second that of touchpoints."""
    names = list(dict.fromkeys(partition.topic for partition in ranges))
    topics = dict(zip([Stream.ORDERS, Stream.TOUCHPOINTS], names, strict=False))
    asked = {partition: Range(*bounds) for partition, bounds in ranges.items()}
    identity = identity or identity_of(log, *names)
    reader = (
        FakeRangeReader(log, topics, asked, identity, origin)
        if isinstance(log, FakeLog)
        else RangeReader(Kafka(bootstrap_servers=log.bootstrap, topics=topics, group_id=GROUP), asked, identity, origin)
    )
    with closing(reader):
        yield Reading(reader)
