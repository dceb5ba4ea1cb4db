"""What only a real Kafka can show of KafkaSource: transactions, restarts, truncation, access."""

from contextlib import ExitStack, suppress
from threading import Thread
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from tests.support.clients import SILENT
from tests.support.kafka_log import KafkaLog
from tests.support.messages import Produced
from tests.support.produce import queue
from tests.support.reader import Reader, numbered, reading, started, values
from tests.support.real_kafka import JarBroker
from worker.config import Kafka
from worker.errors import SourceError, Unavailable
from worker.events import NextOffset, Partition, Stream
from worker.source import mirror
from worker.source.broker import topic_ids
from worker.source.kafka import KafkaSource
from worker.source.losses import Acceptances

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
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()


def test_aborted_messages_are_hidden_and_the_position_passes_their_markers(
    kafka_log: KafkaLog, transactional: Producer, topic: str
) -> None:
    kafka_log.create(topic, 1)
    partition = Partition(topic, 0)
    in_transaction(transactional, numbered(topic, 0, [0, 1]), commit=True)
    in_transaction(transactional, numbered(topic, 0, [2, 3]), commit=False)
    with reading(kafka_log, topic) as reader:
        assert reader.read_to_end() == values(0, [0, 1])
        assert reader.position[partition].offset == 6  # two committed, two aborted, two markers
        assert reader.batches[-1].log_end_offsets == {partition: 6}
    in_transaction(transactional, numbered(topic, 0, [4]), commit=True)
    with reading(kafka_log, topic, position=reader.position, identity=reader.identity) as next_reader:
        assert next_reader.read_to_end() == values(0, [4])


def test_topics_have_the_ids_that_the_source_will_find_and_one_that_is_not_there_has_none(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(topic, 1)
    with reading(kafka_log, topic) as reader:
        assert topic_ids(Kafka(bootstrap_servers=kafka_log.bootstrap), [f"no-{topic}", topic], 10.0) == reader.identity.topic_ids


def test_an_open_transaction_holds_the_reader_before_it(kafka_log: KafkaLog, transactional: Producer, topic: str) -> None:
    kafka_log.create(topic, 1)
    transactional.begin_transaction()
    queue(transactional, numbered(topic, 0, [0]))
    transactional.flush()
    kafka_log.put(numbered(topic, 0, [1]))
    with reading(kafka_log, topic) as reader:
        assert reader.read_to_end() == []
        assert reader.position[Partition(topic, 0)].offset == 0
        transactional.commit_transaction()
        reader.poll_until(lambda: len(reader.messages) == 2)
        assert reader.values() == values(0, [0, 1])


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_that_goes_and_comes_back_is_waited_for(own_broker: JarBroker, kafka_log: KafkaLog, topic: str, how: str) -> None:
    kafka_log.create(topic, 2)
    kafka_log.put(numbered(topic, 0, range(100)) + numbered(topic, 1, range(100)))
    with reading(kafka_log, topic) as reader:
        reader.poll_until(lambda: bool(reader.messages))
        (own_broker.kill if how == "kill" else own_broker.stop)()
        with pytest.raises(Unavailable, match="did not tell"):
            reader.poll_on()
        with pytest.raises(Unavailable):
            kafka_log.source({Stream.ORDERS: topic}).start({}, None)
        own_broker.start()
        kafka_log.put(numbered(topic, 0, range(100, 150)))
        reader.poll_until(lambda: len(reader.messages) >= 250)
        reader.read_to_end()
        assert reader.by_partition() == {0: values(0, range(150)), 1: values(1, range(100))}
    with reading(kafka_log, topic, position=reader.position, identity=reader.identity) as next_reader:
        assert next_reader.read_to_end() == []


def outlive_a_restart(reader: Reader, broker: JarBroker, log: KafkaLog, partition: Partition, numbers: range) -> None:
    log.put(numbered(partition.topic, partition.number, numbers))
    reader.poll_until(lambda: len(reader.messages) == numbers.stop)
    reader.source.mirror({partition: NextOffset(numbers.start)})
    reader.poll()
    broker.stop()
    reader.source.mirror(reader.position)
    for _ in range(2):
        with pytest.raises(Unavailable):
            reader.poll()
    broker.start()


def test_restarts_of_the_broker_harm_neither_the_reading_nor_the_mirror(
    own_broker: JarBroker, kafka_log: KafkaLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "SECONDS", 0.5)  # requests are given up while the broker is away
    kafka_log.create(topic, 1)
    partition = Partition(topic, 0)
    with reading(kafka_log, topic) as reader:
        for start in (0, 10, 20):
            outlive_a_restart(reader, own_broker, kafka_log, partition, range(start, start + 10))
        reader.poll_until(lambda: kafka_log.mirrored([partition]) == {partition: 30})
        kafka_log.put(numbered(topic, 0, [30]))
        reader.poll_until(lambda: len(reader.messages) == 31)
        reader.source.mirror(reader.position)
    assert kafka_log.mirrored([partition]) == {partition: 31}
    assert reader.values() == values(0, range(31))


@pytest.mark.parametrize("how", ["gone", "hung"])
def test_a_source_is_closed_although_the_broker_does_not_answer(own_broker: JarBroker, kafka_log: KafkaLog, topic: str, how: str) -> None:
    kafka_log.create(topic, 1)
    kafka_log.put(numbered(topic, 0, range(10)))
    with ExitStack() as stack:
        reader = stack.enter_context(reading(kafka_log, topic))
        reader.read_to_end()
        if how == "gone":
            own_broker.kill()
        else:
            stack.enter_context(own_broker.hung())
        reader.source.mirror(reader.position)
        with suppress(Unavailable):  # a broker that hangs is noticed by the next poll
            reader.poll()
        reader.source.mirror({Partition(topic, 0): NextOffset(5)})
        closing = Thread(target=reader.source.close, daemon=True)
        closing.start()
        closing.join(30)  # it takes two seconds; it waits for the broker where it is wrong
        assert not closing.is_alive()


def test_markers_of_a_later_leader_epoch_are_not_taken_for_a_truncated_log(
    own_broker: JarBroker, kafka_log: KafkaLog, transactional: Producer, topic: str
) -> None:
    kafka_log.create(topic, 1)
    in_transaction(transactional, numbered(topic, 0, [0]), commit=True)
    own_broker.stop()
    own_broker.start()
    in_transaction(transactional, numbered(topic, 0, [1]), commit=False)
    with reading(kafka_log, topic) as reader:
        assert reader.read_to_end() == values(0, [0])
    with reading(kafka_log, topic, position=reader.position, identity=reader.identity) as next_reader:
        assert next_reader.read_to_end() == []


def test_a_leader_epoch_that_the_log_does_not_have_stops_the_source(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(topic, 1)
    kafka_log.put(numbered(topic, 0, range(10)))
    position = {Partition(topic, 0): NextOffset(5, leader_epoch=1000)}
    with reading(kafka_log, topic, position=position) as reader:
        with pytest.raises(SourceError, match=f"{topic}/0") as caught:
            reader.read_to_end()
        assert f"--accept-lost-offsets {topic}" in caught.value.remedy
        assert reader.messages == []
    with reading(kafka_log, topic, position=position, accept=Acceptances(lost_offsets=frozenset({topic}))) as reader:
        assert reader.read_to_end() == values(0, range(5, 10))


def test_messages_deleted_while_the_source_is_behind_stop_it_after_what_it_has_fetched(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(topic, 1)
    kafka_log.put([Produced(topic, number.to_bytes(4) * 2500) for number in range(2000)])
    settings = Kafka(bootstrap_servers=kafka_log.bootstrap, topics={Stream.ORDERS: topic}, queue_kbytes=1024)
    with started(KafkaSource(settings)) as reader:
        reader.poll_until(lambda: bool(reader.messages))
        kafka_log.delete_before(Partition(topic, 0), 2000)
        with pytest.raises(SourceError, match="is gone, the log starts at 2,000") as caught:
            reader.poll_on()
        assert f"--accept-lost-offsets {topic}" in caught.value.remedy
    numbers = [int.from_bytes((value or b"")[:4]) for value in reader.values()]
    assert numbers == list(range(len(numbers)))
    assert f"the next offset {len(numbers):,} is gone" in caught.value.message
