"""What the Kafka source does that needs a fault which only a test can bring about."""

from collections.abc import Iterable

import pytest

from tests.support.kafka_log import MockLog
from tests.support.messages import Produced
from tests.support.reader import PARTITIONS, numbered, reading
from worker.config import Kafka
from worker.errors import Unavailable
from worker.source import UNKNOWN, consumer, kafka
from worker.source.broker import Broker, Topic, topic_ids


def test_after_the_broker_was_away_no_partition_is_taken_to_be_at_its_end(
    mock_log: MockLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_source: kafka.KafkaSource) -> None:
        raise Unavailable("the broker is away")

    mock_log.create(topic, PARTITIONS)
    mock_log.put(numbered(topic, 0, range(10)))
    with reading(mock_log, topic) as reader:
        reader.read_to_end()
        with monkeypatch.context() as outage:
            outage.setattr(kafka.KafkaSource, "_confirm", away)
            outage.setattr(kafka, "DOUBT_SECONDS", 0.5)
            with pytest.raises(Unavailable):
                reader.poll(max_wait=0)
        assert reader.poll(max_wait=0).at_end == frozenset()
        assert reader.read_to_end() == reader.values()


def test_while_a_partition_has_no_leader_none_is_taken_to_be_at_its_end(
    mock_log: MockLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker of several is away: what is produced to its partitions once it is back may have happened before all that was read."""

    def leaderless(_broker: Broker, names: Iterable[str], _timeout: float) -> dict[str, Topic]:
        return {name: Topic(UNKNOWN, PARTITIONS, [1]) for name in names}

    mock_log.create(topic, PARTITIONS)
    mock_log.put(numbered(topic, 0, range(10)))
    with reading(mock_log, topic) as reader:
        reader.read_to_end()
        mock_log.put(numbered(topic, 0, range(10, 20)))
        with monkeypatch.context() as outage:
            outage.setattr(Broker, "topics", leaderless)
            outage.setattr(kafka, "DOUBT_SECONDS", 0.5)
            reader.poll_until(lambda: len(reader.messages) == 20)
            assert reader.poll(max_wait=0).at_end == frozenset()
        assert reader.poll(max_wait=0).at_end == frozenset()
        reader.read_to_end()


def test_the_first_messages_after_a_start_are_not_kept_waiting_for_a_full_batch(
    mock_log: MockLog, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (kafka, consumer):
        monkeypatch.setattr(module, "CHUNK", 10)
    mock_log.create(topic, PARTITIONS)
    mock_log.put(numbered(topic, 0, range(100)))
    with reading(mock_log, topic) as reader:
        sizes: list[int] = []
        while sum(sizes) < 100:
            sizes += [size] if (size := len(reader.poll(max_messages=60, max_wait=0.0))) else []
    assert sizes[0] <= 10
    assert max(sizes) > 10


def test_a_batch_of_large_messages_is_bounded_by_their_bytes(mock_log: MockLog, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once one knows how large they are; and one that is larger than all of a batch may be is read, too."""
    monkeypatch.setattr(consumer, "BATCH_BYTES", 2_500)
    for module in (kafka, consumer):
        monkeypatch.setattr(module, "CHUNK", 5)
    large, huge = (Produced(topic, b"x" * size, partition_number=0) for size in (1_000, 3_000))
    mock_log.create(topic, PARTITIONS)
    mock_log.put([large] * 20 + [huge] * 2 + [large])
    with reading(mock_log, topic) as reader:
        reader.read_to_end()
        sizes = [len(batch) for batch in reader.batches if len(batch)]
    assert sum(sizes) == 23
    assert max(sizes[1:]) <= 2


def test_the_broker_tells_the_ids_of_those_topics_that_there_are(mock_log: MockLog, topic: str) -> None:
    """The mock cluster has none: there, it is unknown whichever it is."""
    mock_log.create(topic, PARTITIONS)
    assert topic_ids(Kafka(bootstrap_servers=mock_log.bootstrap), [topic], 5.0) == {topic: UNKNOWN}


def test_a_broker_that_is_away_tells_no_ids() -> None:
    assert topic_ids(Kafka(bootstrap_servers="127.0.0.1:1"), ["orders"], 0.05) == {}
