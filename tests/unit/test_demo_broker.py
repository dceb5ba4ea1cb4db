"""The demo's broker and its producer: nothing is lost however slow the reader is, though the mock cluster keeps so little."""

import logging
from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from zlib import crc32

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from worker.demo.broker import IN_FLIGHT, PARTITIONS, Broker, Outgoing, PacedProducer
from worker.events import NextOffset, Partition, Stream

TOPICS = {Stream.ORDERS: "orders"}
SILENT = logging.getLogger("tests.librdkafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.close()


def reader(broker: Broker) -> Consumer:
    conf = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "test", "auto.offset.reset": "error", "fetch.wait.max.ms": 10}
    consumer = Consumer(conf, logger=SILENT)
    consumer.assign([TopicPartition("orders", number, 0) for number in range(PARTITIONS)])
    return consumer


def take(consumer: Consumer, seconds: float) -> list[Message]:
    """All messages that come until none has come for so long."""
    messages: list[Message] = []
    while some := consumer.consume(100, seconds):
        messages += some
    assert all(message.error() is None for message in messages)
    return messages


def test_the_producer_waits_for_the_reader_and_nothing_is_lost(broker: Broker) -> None:
    sent = [Outgoing(Stream.ORDERS, b"one key", bytes([n % 251]) * 50_000, 1_700_000_000_000_000 + n * 1000) for n in range(160)]
    partition = Partition("orders", crc32(b"one key") % PARTITIONS)
    read: list[Message] = []
    deadline = monotonic() + 60
    with PacedProducer(broker, TOPICS, sent) as producer, closing(reader(broker)) as consumer:
        while not producer.is_read() and monotonic() < deadline:
            some = take(consumer, 0.1)
            assert sum(len(message.value() or b"") for message in some) <= IN_FLIGHT + 50_000
            read += some
            producer.committed({partition: NextOffset(len(read))})
    assert [(m.partition(), m.offset(), m.value(), m.timestamp()[1]) for m in read] == [
        (partition.number, n, message.value, message.at // 1000) for n, message in enumerate(sent)
    ]


def test_a_producer_that_is_ended_sends_no_more(broker: Broker) -> None:
    with PacedProducer(broker, TOPICS, [Outgoing(Stream.ORDERS, b"k", b"v" * 100_000, 0)] * 100) as producer:
        pass
    with closing(reader(broker)) as consumer:
        assert len(take(consumer, 0.5)) < 100
    assert not producer.is_read()


def test_what_stops_the_producer_is_told_to_the_reader(broker: Broker) -> None:
    with (
        PacedProducer(broker, TOPICS, [Outgoing(Stream.TOUCHPOINTS, b"k", b"v", 0)]) as producer,
        pytest.raises(KeyError, match="touchpoints"),
    ):
        producer.is_read()
