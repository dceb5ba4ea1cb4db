"""A broker in this process (librdkafka's mock cluster speaks the real protocol), and a producer that keeps to the reader's pace.

The mock cluster keeps about 5 MiB of each partition, oldest gone first: no partition is ever sent more than IN_FLIGHT bytes beyond
what the reader has committed.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from confluent_kafka import KafkaError, Message, Producer

from worker.errors import Unavailable
from worker.events import Partition, Position, Stream

CLUSTER = "mockCluster"  # how the ids of mock clusters begin
PARTITIONS = 4  # of every topic of the mock cluster
IN_FLIGHT = 1_000_000
_OVERHEAD = 24  # bytes of a record beside its key and value, about

_silent = logging.getLogger("worker.demo.librdkafka")  # without it, clients fill the screen when the broker goes
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Outgoing(NamedTuple):
    """A message to be sent. `at`, in microseconds since 1970, is its timestamp on the broker."""

    stream: Stream
    key: bytes
    value: bytes | None
    at: int


@dataclass(slots=True)
class Messages:
    """Many outgoing messages, as columns: a million small objects would keep the garbage collector busy."""

    streams: list[Stream] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    at: list[int] = field(default_factory=list)

    def append(self, message: Outgoing) -> None:
        self.streams.append(message.stream)
        self.keys.append(message.key)
        self.values.append(message.value)
        self.at.append(message.at)

    def arranged(self, order: Sequence[int], at: list[int]) -> "Messages":
        """Message order[n] as the n-th, with the time at[n]."""
        return Messages(
            streams=[self.streams[number] for number in order],
            keys=[self.keys[number] for number in order],
            values=[self.values[number] for number in order],
            at=at,
        )

    def __add__(self, other: "Messages") -> "Messages":
        return Messages(self.streams + other.streams, self.keys + other.keys, self.values + other.values, self.at + other.at)

    def __len__(self) -> int:
        return len(self.at)

    def __iter__(self) -> Iterator[Outgoing]:
        return map(Outgoing, self.streams, self.keys, self.values, self.at)


class Broker:
    """A mock cluster. It lives as long as its own client does: close consumers before `close`."""

    def __init__(self) -> None:
        self._undelivered: KafkaError | None = None
        self._client = Producer(
            {
                "bootstrap.servers": "mock",
                "test.mock.num.brokers": 1,
                "linger.ms": 5,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 1_000_000,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
            },
            logger=_silent,
        )
        brokers = self._client.list_topics(timeout=10).brokers.values()
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def send(self, partition: Partition, message: Outgoing) -> None:
        """Queue a message; it is on the broker some milliseconds later."""
        self._client.produce(partition.topic, message.value, message.key, partition=partition.number, timestamp=message.at // 1000)

    def flush(self) -> None:
        """Wait until the broker has all that was sent. Raises Unavailable if it did not take a message."""
        left = self._client.flush(10)
        if left or self._undelivered:
            reason = self._undelivered.str() if self._undelivered else f"{left} messages are waiting"
            raise Unavailable(f"the embedded broker did not take all messages: {reason}", "Run the demo again.")

    def close(self) -> None:
        self._client.purge()
        self._client.close()

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._undelivered = error or self._undelivered


class PacedProducer:
    """Sends messages in their order from a thread of its own, each to the partition of its key; waits where the reader is behind.

    It sends while it is entered as a context, and is told by `committed` what the reader has committed. Nobody else may write to its
    topics: their offsets are counted here.
    """

    def __init__(self, broker: Broker, topics: Mapping[Stream, str], messages: Iterable[Outgoing]) -> None:
        self._broker = broker
        self._topics = topics
        self._messages = messages
        # By partition: the bytes sent before each offset, the last entry before the next one; and how many of them are committed.
        self._sent = {Partition(topic, number): [0] for topic in topics.values() for number in range(PARTITIONS)}
        self._committed = dict.fromkeys(self._sent, 0)
        self._progress = threading.Condition()
        self._is_ended = False
        self._error: Exception | None = None
        self._is_ahead = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-producer", daemon=True)

    def __enter__(self) -> "PacedProducer":
        """Begin to send. Returns when there is plenty to read, or all."""
        self._thread.start()
        self._is_ahead.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Send no more."""
        with self._progress:
            self._is_ended = True
            self._progress.notify()
        self._thread.join()

    def committed(self, position: Position) -> None:
        """The reader's work is safe up to here: there is room for more."""
        with self._progress:
            for partition, next_offset in position.items():
                self._committed[partition] = self._sent[partition][next_offset.offset]
            self._progress.notify()

    def is_read(self) -> bool:
        """Whether everything was sent and committed. Raises what stopped the sending."""
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive() and all(sent[-1] == self._committed[at] for at, sent in self._sent.items())

    def _run(self) -> None:
        try:
            for message in self._messages:
                partition = Partition(self._topics[message.stream], crc32(message.key) % PARTITIONS)
                sent = self._sent[partition]
                if not self._has_room(partition):
                    return
                sent.append(sent[-1] + len(message.key) + len(message.value or b"") + _OVERHEAD)
                self._broker.send(partition, message)
            self._broker.flush()
        # Whatever it is, it belongs to the thread that waits for these messages.
        except Exception as error:
            self._error = error
        finally:
            self._is_ahead.set()

    def _has_room(self, partition: Partition) -> bool:
        """Wait until the partition holds less than IN_FLIGHT bytes that are not committed. False: nothing is to be sent any more."""

        def ready() -> bool:
            return self._is_ended or self._sent[partition][-1] - self._committed[partition] < IN_FLIGHT

        if not ready():
            self._is_ahead.set()
            with self._progress:
                self._progress.wait_for(ready)
        return not self._is_ended
