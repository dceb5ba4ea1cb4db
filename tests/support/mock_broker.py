"""librdkafka's mock cluster: speaks the protocol over TCP, in this process, in milliseconds. No admin calls, no transactions."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from tests.support.clients import SILENT

PARTITIONS = 4  # every topic has as many; it comes into being when it is first named


@contextmanager
def mock_broker() -> Iterator[str]:
    """host:port of a mock cluster that lives as long as the block. Close its consumers before."""
    client = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1}, logger=SILENT)
    try:
        (broker,) = client.list_topics(timeout=10).brokers.values()
        yield f"{broker.host}:{broker.port}"
    finally:
        client.close()
