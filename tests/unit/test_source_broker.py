"""When a broker is away, and when it refuses."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicCollection, TopicPartition, Uuid

from worker.config import Kafka
from worker.errors import SourceError, Unavailable
from worker.events import Partition
from worker.source.broker import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Nobody listens there."""
    with closing(Broker(Kafka(bootstrap_servers="127.0.0.1:1"))) as broker:
        yield broker


def hears(broker: Broker, text: str, times: int) -> None:
    for _ in range(times):
        broker.note(KafkaError(KafkaError._AUTHENTICATION, text))


def test_a_broker_that_does_not_answer_is_away(broker: Broker) -> None:
    with pytest.raises(Unavailable, match=r"the broker at 127\.0\.0\.1:1 did not tell of its cluster: .*Timed out"):
        broker.topics(["orders"], timeout=0.05)


def test_a_broker_that_refuses_the_log_in_again_and_again_refuses_it(broker: Broker) -> None:
    hears(broker, "SASL authentication error: Authentication failed: Invalid username or password", times=3)
    with pytest.raises(SourceError, match="Invalid username or password"):
        broker.topics(["orders"], timeout=0.05)


def test_a_connection_lost_in_the_middle_of_a_log_in_is_no_refusal(broker: Broker) -> None:
    hears(broker, "SASL authentication error: SaslAuthenticateRequest failed: Local: Broker transport failure", times=10)
    with pytest.raises(Unavailable):
        broker.topics(["orders"], timeout=0.05)


class AdminOfAnOldBroker:
    """Answers as librdkafka does for a broker before Kafka 2.8."""

    def cluster_id(self, timeout: float) -> str:
        return "c1"

    def describe_topics(self, topics: TopicCollection, request_timeout: float) -> dict[str, Future[Any]]:
        described: Future[Any] = Future()
        described.set_result(SimpleNamespace(topic_id=Uuid(0, 0), partitions=[]))
        return {"orders": described}


def test_a_broker_whose_topics_have_no_ids_is_not_read(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_admin", AdminOfAnOldBroker())
    with pytest.raises(SourceError, match=r"gives topics no ids \(orders\)"):
        broker.topics(["orders"], timeout=1)


def failed(code: int) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_exception(KafkaException(KafkaError(code)))
    return future


class AdminWhoseControllerHasGone:
    """Answers as librdkafka does: asked is the controller of the last metadata, until there is newer metadata."""

    def __init__(self) -> None:
        self._knows_the_new_one = False

    def cluster_id(self, timeout: float) -> str:
        return "c1"

    def poll(self, timeout: float) -> None: ...

    def list_topics(self, timeout: float) -> None:
        self._knows_the_new_one = True

    def describe_topics(self, topics: TopicCollection, request_timeout: float) -> dict[str, Future[Any]]:
        if not self._knows_the_new_one:
            return {"orders": failed(KafkaError._TIMED_OUT)}
        described: Future[Any] = Future()
        described.set_result(SimpleNamespace(topic_id=Uuid(1, 2), partitions=[SimpleNamespace(id=0, leader=None)]))
        return {"orders": described}


def test_the_death_of_the_one_broker_that_is_asked_is_got_over_at_the_next_question(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "_admin", AdminWhoseControllerHasGone())
    with pytest.raises(Unavailable):
        broker.topics(["orders"], timeout=1)
    assert broker.topics(["orders"], timeout=1)["orders"][1:] == (1, [0])  # one partition, without a leader


class AdminOfALeaderlessPartition:
    """Answers as librdkafka does where a partition's only replica is on a broker that is away: with no error and no offset."""

    def poll(self, timeout: float) -> None: ...

    def list_offsets(self, asked: dict[TopicPartition, Any], request_timeout: float) -> dict[TopicPartition, Future[Any]]:
        told: Future[Any] = Future()
        told.set_result(SimpleNamespace(offset=OFFSET_INVALID))
        return dict.fromkeys(asked, told)


def test_the_bounds_of_a_partition_without_a_leader_are_waited_for_and_not_taken_for_a_cut_log(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "_admin", AdminOfALeaderlessPartition())
    with pytest.raises(Unavailable, match=r"did not tell of partition orders/0: .*[Ll]eader"):
        broker.bounds([Partition("orders", 0)], timeout=1)
    with pytest.raises(Unavailable):
        broker.offsets_at(0, [Partition("orders", 0)], timeout=1)
