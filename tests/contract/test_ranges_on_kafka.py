"""What only a real Kafka can show of RangeReader: transactions, compaction, deleted records, restarts, timestamps."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tests.support.clients import SILENT
from tests.support.kafka_log import SECONDS, KafkaLog
from tests.support.messages import Produced
from tests.support.produce import queue
from tests.support.range_reading import Reading, asking, identity_of, reading_ranges
from tests.support.reader import PATIENCE, numbered, reading, values
from tests.support.real_kafka import JarBroker
from worker.config import Kafka
from worker.errors import SourceError, Unavailable
from worker.events import Partition, Stream
from worker.replay import ReplayRequest, plan_replay
from worker.source.ranges import Range, RangeReader

pytestmark = pytest.mark.kafka


@pytest.fixture
def transactional(kafka_log: KafkaLog) -> Producer:
    producer = Producer({"bootstrap.servers": kafka_log.bootstrap, "transactional.id": uuid4().hex}, logger=SILENT)
    producer.init_transactions()
    return producer


def in_transaction(producer: Producer, messages: list[Produced], *, commit: bool) -> None:
    producer.begin_transaction()
    queue(producer, messages)
    producer.flush()
    (producer.commit_transaction if commit else producer.abort_transaction)()


@pytest.mark.parametrize("tail", ["nothing behind it", "messages behind it", "an open transaction behind it"])
def test_a_range_may_begin_and_end_anywhere_among_transactions(kafka_log: KafkaLog, transactional: Producer, topic: str, tail: str) -> None:
    kafka_log.create(topic, 1)
    in_transaction(transactional, numbered(topic, 0, [0, 1]), commit=True)  # offsets 0, 1, and 2 for the marker
    in_transaction(transactional, numbered(topic, 0, [3, 4]), commit=False)  # 3, 4, and 5
    in_transaction(transactional, numbered(topic, 0, [6]), commit=True)  # 6, and 7
    in_transaction(transactional, numbered(topic, 0, [8, 9]), commit=False)  # 8, 9, and 10
    if tail == "messages behind it":
        in_transaction(transactional, numbered(topic, 0, [11]), commit=True)
    elif tail == "an open transaction behind it":
        transactional.begin_transaction()
        queue(transactional, numbered(topic, 0, [11]))
        transactional.flush()
    for first, end in [(0, 11), (1, 8), (2, 6), (3, 5), (4, 7), (7, 11), (10, 11)]:
        with reading_ranges(kafka_log, {Partition(topic, 0): (first, end)}) as ranges:
            assert ranges.read_all() == values(0, [offset for offset in (0, 1, 6) if first <= offset < end])
            assert ranges.position == {Partition(topic, 0): end}


@pytest.fixture
def eager_cleaner(kafka_log: KafkaLog) -> Iterator[None]:
    """The broker looks for segments to compact ten times a second."""
    (broker,) = kafka_log.admin.list_topics(timeout=SECONDS).brokers

    def alter(operation: AlterConfigOpType) -> None:
        entry = ConfigEntry("log.cleaner.backoff.ms", "100", incremental_operation=operation)
        resource = ConfigResource(ResourceType.BROKER, str(broker), incremental_configs=[entry])
        kafka_log.admin.incremental_alter_configs([resource])[resource].result(SECONDS)

    alter(AlterConfigOpType.SET)
    yield
    alter(AlterConfigOpType.DELETE)


def test_offsets_that_compaction_took_are_passed(kafka_log: KafkaLog, topic: str, eager_cleaner: None) -> None:
    eager = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001"}
    kafka_log.admin.create_topics([NewTopic(topic, 1, 1, config=eager)])[topic].result(SECONDS)
    partition = Partition(topic, 0)
    kafka_log.put([Produced(topic, b"%d" % offset, b"one key") for offset in range(10)])
    for more in range(10, 10 + PATIENCE):
        kafka_log.put([Produced(topic, b"%d" % more, b"one key")])  # rolls the segment, without which nothing is compacted
        with reading_ranges(kafka_log, {partition: (0, 9)}) as ranges:
            if ranges.read_all() == []:
                assert ranges.position == {partition: 9}
                break
    else:
        raise AssertionError("never compacted")
    with reading_ranges(kafka_log, {partition: (0, more + 1)}) as ranges:
        assert ranges.read_all()[-1] == b"%d" % more


def test_messages_deleted_while_a_range_is_read_end_it_after_what_was_fetched(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(topic, 1)
    partition = Partition(topic, 0)
    kafka_log.put([Produced(topic, number.to_bytes(4) * 2500) for number in range(2000)])
    settings = Kafka(bootstrap_servers=kafka_log.bootstrap, topics={Stream.ORDERS: topic}, queue_kbytes=1024)
    with closing(RangeReader(settings, {partition: Range(0, 2000)}, identity_of(kafka_log, topic))) as reader:
        ranges = Reading(reader)
        ranges.poll_until(lambda: bool(ranges.messages), max_messages=10)
        kafka_log.delete_before(partition, 1990)
        with pytest.raises(SourceError, match="the log starts at 1,990 now") as caught:
            ranges.read_all()
    read = len(ranges.messages)
    assert ranges.offsets() == {partition: list(range(read))}
    assert f"{topic}/0: offset {read:,} is gone" in caught.value.message
    assert f"tidemark replay --topic {topic} --partition 0 --from 1990 --to 2000" in caught.value.remedy


def test_a_broker_that_goes_in_the_middle_is_waited_for(own_broker: JarBroker, kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(topic, 2)
    kafka_log.put(numbered(topic, 0, range(1000)) + numbered(topic, 1, range(1000)))
    first, second = Partition(topic, 0), Partition(topic, 1)
    with reading_ranges(kafka_log, {first: (100, 900), second: (0, 1000)}) as ranges:
        ranges.poll_until(lambda: bool(ranges.messages), max_messages=50)
        own_broker.kill()
        with pytest.raises(Unavailable, match="did not tell"):
            ranges.poll(max_messages=50)
        own_broker.start()
        ranges.read_all(max_messages=200)
        assert ranges.offsets() == {first: list(range(100, 900)), second: list(range(1000))}


def test_times_become_offsets(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(topic, 2)
    at = datetime(2026, 3, 5, 12, tzinfo=UTC)
    millis = int(at.timestamp() * 1000)
    kafka_log.put([Produced(topic, b"%d" % offset, partition_number=0, timestamp_ms=millis + 10 * offset) for offset in range(10)])
    partitions = [Partition(topic, 0), Partition(topic, 1)]
    with asking(kafka_log) as log:
        assert log.offsets_at(millis, partitions, 10) == {partitions[0]: 0}
        assert log.offsets_at(millis + 41, partitions, 10) == {partitions[0]: 5}
        assert log.offsets_at(millis + 91, partitions, 10) == {}
        with reading(kafka_log, topic) as live:
            live.read_to_end()
        request = ReplayRequest(since=at.replace(microsecond=20_001), until=at.replace(microsecond=70_000))
        plan = plan_replay(request, log, live.position, live.identity, [topic])
    with reading_ranges(kafka_log, plan.left(), plan.identity) as ranges:
        assert ranges.read_all() == [b"3", b"4", b"5", b"6"]
