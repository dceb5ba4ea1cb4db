"""How the log is consumed: partitions assigned by hand, nothing committed, and what consume() brings told apart."""

from collections.abc import Sequence, Sized
from contextlib import suppress
from typing import NamedTuple, Protocol, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from worker import config
from worker.errors import SourceError
from worker.events import Message, Partition, Position
from worker.source.broker import METADATA_SECONDS, Broker, refused
from worker.source.client import REFUSALS, create
from worker.source.losses import name

START_SECONDS = 5.0  # for each question to the broker at the start
CONFIRM_SECONDS = 2.0  # and for the one at the end of each poll
CHUNK = 10_000  # messages of one consume()
BATCH_BYTES = 1 << 25  # of the messages of one poll, about: merged they take many times as much memory
FILL_SECONDS = 2.0  # for which a poll goes on while it is behind
FILL_SLICE = 0.05

# Of these errors the confirmation at the end of the poll says what they mean.
CONFIRMED = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_ID}
    | {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)

# librdkafka waits a second before it fetches again once its queue was full, and half a second for a fetch at the log's end. A fetch
# brings so much of each partition, beyond the bound of the queue: half as much is half the memory, at the same speed.
_TUNING = {"fetch.queue.backoff.ms": 5, "fetch.wait.max.ms": 100, "fetch.message.max.bytes": 262_144}


class Fetched(Message, Protocol):
    """What consume() gives: a message, or an event of its partition (`error` says which; none: a message)."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def leader_epoch(self) -> int | None: ...
    def error(self) -> KafkaError | None: ...


class Room:
    """How much a poll has gathered, and may still gather: so many messages, and about BATCH_BYTES of them."""

    def __init__(self) -> None:
        self._message_bytes = 1 << 20  # on average, of those that came last; before: the most that a broker takes by default
        self.clear()

    def left(self, max_messages: int) -> int:
        """How many messages to take at once; one at least where there are none yet."""
        fitting = (BATCH_BYTES - self._bytes) // self._message_bytes
        return min(max_messages - self.count, CHUNK, fitting if self.count else max(fitting, 1))

    def took(self, messages: Sequence[Fetched]) -> None:
        """These were gathered. Small ones may be followed by large ones again: the average falls slowly."""
        if messages:
            size = sum(map(len, cast("Sequence[Sized]", messages)))
            self._message_bytes = max(size // len(messages) + 1, self._message_bytes // 8)
            self.count += len(messages)
            self._bytes += size

    def clear(self) -> None:
        """What was gathered is handed out."""
        self.count = self._bytes = 0


class Event(NamedTuple):
    """An end or an error of a partition."""

    partition: Partition
    offset: int
    error: KafkaError


def consumer_of(settings: config.Kafka, broker: Broker) -> Consumer:
    """A consumer for partitions that are assigned by hand; the group is named and not joined. Raises ConfigError."""
    needed: dict[str, object] = {  # what exactness and the bound on memory depend on
        "group.id": settings.group_id,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "check.crcs": True,
        "queued.max.messages.kbytes": settings.queue_kbytes,
        "error_cb": broker.note,
    }
    return create(Consumer, settings, needed, _TUNING)


def assign(consumer: Consumer, position: Position) -> None:
    """Read from `position` on. The partitions' leaders are asked for: of its own accord a client looks for them once a second.

    Not before, for librdkafka holds an offset's leader epoch against the log only when it learns of a leader after the assignment.
    """
    consumer.assign(to_assign(position))
    for topic in {partition.topic for partition in position}:
        with suppress(KafkaException):  # it goes on looking for them
            consumer.list_topics(topic, METADATA_SECONDS)


def to_assign(position: Position) -> list[TopicPartition]:
    """With the leader epoch, so that librdkafka looks whether the log was truncated below the offset."""
    return [
        TopicPartition(*partition, next_offset.offset)
        if next_offset.leader_epoch is None
        else TopicPartition(*partition, next_offset.offset, leader_epoch=next_offset.leader_epoch)
        for partition, next_offset in position.items()
    ]


def told_apart(fetched: Sequence[KafkaMessage]) -> tuple[Sequence[Fetched], list[Event]]:
    """What consume() brought: messages, and the events of partitions. Where there are only messages, no line of Python runs for each."""
    of_topics = cast("Sequence[Fetched]", fetched)
    if not any(map(KafkaMessage.error, fetched)):
        return of_topics, []
    messages, events = [], []
    for item in of_topics:
        error, topic = item.error(), item.topic()
        if error is None:
            messages.append(item)
        # An error of no topic is one of the group, and of that only the mirror depends.
        elif topic is not None:
            events.append(Event(Partition(topic, item.partition()), item.offset(), error))
    return messages, events


def unreadable(event: Event, next_offset: int) -> SourceError:
    """The error for an event of a partition that ends the reading before `next_offset`."""
    if event.error.code() in REFUSALS:
        return refused(f"topic {event.partition.topic}", event.error.str())
    return SourceError(
        f"partition {name(event.partition)} can't be read on at offset {next_offset:,}: {event.error.str()}",
        "Nothing is lost: start again, and if it stays so, look for a damaged log on the broker.",
    )
