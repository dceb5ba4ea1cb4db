"""What the reader of ranges does that needs a fault which only a test can bring about."""

import pytest

from tests.support.kafka_log import MockLog
from tests.support.range_reading import reading_ranges
from tests.support.reader import PARTITIONS, numbered, values
from worker.config import Kafka
from worker.errors import ConfigError, Unavailable
from worker.events import Partition, Stream
from worker.source import Identity
from worker.source.ranges import Range, RangeReader


def test_what_was_fetched_while_the_broker_went_away_is_handed_out_once_it_is_back(
    mock_log: MockLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_reader: RangeReader, _timeout: float) -> None:
        raise Unavailable("the broker is away")

    mock_log.create(topic, PARTITIONS)
    mock_log.put(numbered(topic, 0, range(10)))
    with reading_ranges(mock_log, {Partition(topic, 0): (2, 9)}) as ranges:
        ranges.poll(max_messages=2)
        with monkeypatch.context() as outage:
            outage.setattr(RangeReader, "_confirm", away)
            for _ in range(3):
                with pytest.raises(Unavailable):
                    ranges.poll(max_messages=100)
                assert not ranges.reader.is_done
        assert ranges.read_all() == values(0, range(2, 9))


def test_a_partition_read_to_the_end_of_its_range_is_let_go(mock_log: MockLog, topic: str) -> None:
    mock_log.create(topic, PARTITIONS)
    mock_log.put(numbered(topic, 0, range(100)) + numbered(topic, 1, range(100)))
    with reading_ranges(mock_log, {Partition(topic, 0): (0, 10), Partition(topic, 1): (0, 100)}) as ranges:
        assert isinstance(ranges.reader, RangeReader)
        ranges.poll_until(lambda: ranges.position.get(Partition(topic, 0)) == 10, max_messages=40)
        assert [each.partition for each in ranges.reader._consumer.assignment()] == [1]
        assert len(ranges.read_all()) == 110


def test_a_topic_that_is_not_configured_is_refused_before_anything_is_asked() -> None:
    settings = Kafka(bootstrap_servers="127.0.0.1:1", topics={Stream.ORDERS: "orders"})
    with pytest.raises(ConfigError, match=r"not among kafka\.topics: products"):
        RangeReader(settings, {Partition("products", 0): Range(0, 5)}, Identity("c"))


def test_a_broker_that_does_not_answer_is_waited_for() -> None:
    settings = Kafka(bootstrap_servers="127.0.0.1:1", topics={Stream.ORDERS: "orders"})
    reader = RangeReader(settings, {Partition("orders", 0): Range(0, 5)}, Identity("c"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.source.ranges.START_SECONDS", 0.05)
        with pytest.raises(Unavailable, match="did not tell"):
            reader.poll(10)
    reader.close()
