"""The shop's messages in topics of a broker, sent once and read by every run."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.bench.data import PARTITIONS, Messages, Shape, Shop
from tests.bench.figures import Expected
from tests.support.clients import SILENT
from worker.events import Stream

_SECONDS = 30.0


def loaded(bootstrap: str, shapes: Sequence[Shape]) -> tuple[dict[Stream, str], Expected]:
    """Topics that hold the messages of these shapes, one shape after another, and what a worker must make of them.

    An external broker may have them from an earlier call. Raises RuntimeError.
    """
    topics = _names(hashlib.sha256(repr(shapes).encode()).hexdigest()[:12])
    messages = sum(shape.messages for shape in shapes)
    is_there = sum(_length(bootstrap, topic) for topic in topics.values()) == messages
    if not is_there:
        _create(bootstrap, topics.values())
    expected = Expected()
    for shop in map(Shop, shapes):
        expected += shop.expected()
        if not is_there:
            send(bootstrap, topics[Stream.ORDERS], shop.orders.messages())
            send(bootstrap, topics[Stream.TOUCHPOINTS], shop.touchpoints.messages())
    _check(bootstrap, topics, messages)
    return topics, expected


def empty(bootstrap: str) -> dict[Stream, str]:
    """New topics of names that nobody else has."""
    topics = _names(uuid4().hex[:12])
    _create(bootstrap, topics.values())
    return topics


def send(bootstrap: str, topic: str, parts: Iterable[Messages]) -> None:
    """Put them at the topic's end. Raises RuntimeError."""
    tuning = {"linger.ms": 50, "batch.size": 1_000_000, "queue.buffering.max.messages": 200_000, "compression.type": "lz4"}
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, **tuning}, logger=SILENT)
    for part in parts:
        for partition, value in zip(part.partitions.tolist(), part.values, strict=True):
            producer.produce(topic, value, partition=partition)
        while len(producer) > len(part.values):
            producer.poll(0.1)
    if left := producer.flush(_SECONDS):
        raise RuntimeError(f"{left:,} messages to {topic} were not delivered within {_SECONDS:.0f} s")


def _names(key: str) -> dict[Stream, str]:
    return {stream: f"bench-{key}-{stream}" for stream in (Stream.ORDERS, Stream.TOUCHPOINTS)}


def _create(bootstrap: str, topics: Iterable[str]) -> None:
    """Empty topics of these names; what was there (left by a load that was interrupted) is deleted."""
    admin = AdminClient({"bootstrap.servers": bootstrap}, logger=SILENT)
    existing = admin.list_topics(timeout=_SECONDS).topics
    for future in admin.delete_topics([topic for topic in topics if topic in existing] or ["-"]).values():
        future.exception(_SECONDS)
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
        future.result(_SECONDS)


def _check(bootstrap: str, topics: Mapping[Stream, str], messages: int) -> None:
    sent = sum(_length(bootstrap, topic) for topic in topics.values())
    if sent != messages:
        raise RuntimeError(f"{messages:,} messages were sent, the topics {', '.join(topics.values())} hold {sent:,}")


def _length(bootstrap: str, topic: str) -> int:
    """How many messages the topic holds; 0 where there is none of that name."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench"}, logger=SILENT)
    try:
        bounds = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_SECONDS) for number in range(PARTITIONS)]
        return sum(end - start for start, end in bounds)
    except KafkaException as error:
        if error.args[0].code() in {KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART}:
            return 0
        raise
    finally:
        consumer.close()
