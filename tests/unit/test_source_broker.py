"""When a broker is away, and when it refuses."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicCollection, Uuid

from worker.config import Kafka
from worker.errors import SourceError, Unavailable
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
