"""A source that is read in a test, and all that it has brought."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from tests.support.fake_source import FakeLog
from tests.support.kafka_log import KafkaLog, MockLog
from tests.support.messages import Produced
from worker.errors import Unavailable
from worker.events import Message, MessageBatch, NextOffset, Partition, Position, Stream
from worker.source import Identity, Source
from worker.source.losses import Acceptances

Log: TypeAlias = FakeLog | MockLog
ChangingLog: TypeAlias = FakeLog | KafkaLog

PARTITIONS = 4  # as many as the mock cluster's topics have
PATIENCE = 100  # polls of a tenth of a second that a test waits for something

_RETRYING = Retrying(retry=retry_if_exception_type(Unavailable), wait=wait_fixed(0.1), stop=stop_after_attempt(PATIENCE), reraise=True)


@dataclass
class Reader:
    """A source and all that it has brought."""

    source: Source
    identity: Identity
    batches: list[MessageBatch] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    position: dict[Partition, NextOffset] = field(default_factory=dict)

    def poll(self, max_messages: int = 1000, max_wait: float = 0.1) -> MessageBatch:
        batch = self.source.poll(max_messages, max_wait)
        self.batches.append(batch)
        self.messages += [message for messages in batch.messages.values() for message in messages]
        self.position |= batch.position
        return batch

    def read_to_end(self) -> list[bytes | None]:
        """Values of all messages so far, once every partition is at its end."""
        before = len(self.batches)
        self.poll_until(lambda: len(self.batches) > before and self.batches[-1].at_end == self.source.partitions())
        return self.values()

    def poll_until(self, done: Callable[[], bool]) -> None:
        """Poll until `done`; while the log is away, again."""
        for _ in range(PATIENCE):
            if done():
                return
            with suppress(Unavailable):
                self.poll()
        raise AssertionError(f"waited in vain; last: {self.batches[-1:]}")

    def poll_on(self) -> None:
        """Poll for a while; what it raises is for the caller."""
        for _ in range(PATIENCE):
            self.poll()

    def values(self) -> list[bytes | None]:
        return [message.value() for message in self.messages]

    def by_partition(self) -> dict[int, list[bytes | None]]:
        values = defaultdict(list)
        for message in self.messages:
            values[message.partition() or 0].append(message.value())
        return values


@contextmanager
def started(source: Source, position: Position | None = None, identity: Identity | None = None) -> Iterator[Reader]:
    """`source` started at `position` and closed at the end. What is away is waited for, as the worker does."""
    with closing(source):
        yield Reader(source, _RETRYING(source.start, position or {}, identity))


def reading(
    log: Log,
    *topics: str,
    position: Position | None = None,
    identity: Identity | None = None,
    accept: Acceptances | None = None,
) -> AbstractContextManager[Reader]:
    """A source on `log`: the first topic is that of orders, the second that of touchpoints."""
    return started(log.source(dict(zip([Stream.ORDERS, Stream.TOUCHPOINTS], topics, strict=False)), accept), position, identity)


def numbered(topic: str, partition: int, numbers: Sequence[int]) -> list[Produced]:
    return [Produced(topic, f"{partition}:{number}".encode(), partition_number=partition) for number in numbers]


def values(partition: int, numbers: Sequence[int]) -> list[bytes | None]:
    return [message.value() for message in numbered("", partition, numbers)]
