"""A broker as the contract suite changes it: KafkaLog over any broker, with the admin calls that only a real one has."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec  # type: ignore[attr-defined]
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tests.support.clients import SILENT
from tests.support.messages import Produced
from tests.support.produce import send
from worker.config import Kafka
from worker.events import Partition, Stream
from worker.source.kafka import KafkaSource
from worker.source.losses import Acceptances

GROUP = "contract"
SECONDS = 30.0


class MockLog:
    """The mock cluster: topics come into being by themselves."""

    def __init__(self, bootstrap: str, options: Mapping[str, str] | None = None) -> None:
        self.bootstrap = bootstrap
        self._options = dict(options or {})
        self.admin = AdminClient({"bootstrap.servers": bootstrap, **self._options}, logger=SILENT)

    def create(self, topic: str, partitions: int) -> None:
        self.admin.list_topics(topic=topic, timeout=SECONDS)

    def put(self, messages: Iterable[Produced]) -> None:
        send(self.bootstrap, messages, self._options)

    def source(self, topics: Mapping[Stream, str], accept: Acceptances | None = None) -> KafkaSource:
        return KafkaSource(Kafka(bootstrap_servers=self.bootstrap, topics=dict(topics), group_id=GROUP), accept)

    @retry(retry=retry_if_exception_type(KafkaException), wait=wait_fixed(0.1), stop=stop_after_delay(SECONDS), reraise=True)
    def mirrored(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's committed offsets. Asked by a consumer: in an AdminClient librdkafka crashes while the coordinator is starting."""
        with closing(Consumer({"bootstrap.servers": self.bootstrap, "group.id": GROUP, **self._options}, logger=SILENT)) as consumer:
            told = consumer.committed([TopicPartition(*partition) for partition in partitions], timeout=SECONDS)
        return {Partition(each.topic, each.partition): each.offset for each in told}


class KafkaLog(MockLog):
    """A real broker."""

    def create(self, topic: str, partitions: int) -> None:
        """Create it and wait until its partitions have leaders."""
        self.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(SECONDS)
        self._wait_for_leaders(topic, partitions)

    def replace(self, topic: str, partitions: int) -> None:
        """Delete the topic and create it again."""
        self.delete(topic)
        self.create(topic, partitions)

    def delete(self, topic: str) -> None:
        self.admin.delete_topics([topic])[topic].result(SECONDS)

    def delete_before(self, partition: Partition, offset: int) -> None:
        (future,) = self.admin.delete_records([TopicPartition(*partition, offset)]).values()
        future.result(SECONDS)

    def add_partitions(self, topic: str, total: int) -> None:
        self.admin.create_partitions([NewPartitions(topic, total)])[topic].result(SECONDS)
        self._wait_for_leaders(topic, total)

    def _wait_for_leaders(self, topic: str, partitions: int) -> None:
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)}  # type: ignore[no-untyped-call]
        deadline = time.monotonic() + SECONDS
        while True:
            self.admin.list_topics(topic=topic, timeout=SECONDS)  # or the client goes on with the partitions that it knew
            futures: Iterable[Future[Any]] = self.admin.list_offsets(asked).values()
            try:
                for future in futures:
                    future.result(SECONDS)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return
