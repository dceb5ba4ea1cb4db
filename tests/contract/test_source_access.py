"""What a broker that asks for a log-in and for rights can do to KafkaSource; and that no secret gets out."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.support.java import NotHere
from tests.support.kafka_log import KafkaLog
from tests.support.reader import numbered, started, values
from tests.support.real_kafka import ADMIN, secured_broker
from worker.config import Kafka
from worker.errors import SourceError
from worker.events import NextOffset, Partition, Stream
from worker.source.kafka import KafkaSource

pytestmark = pytest.mark.kafka

PASSWORD = "s3cret-of-the-reader"
WRONG = "s3cret-that-is-wrong"


@pytest.fixture(scope="module")
def secured_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaLog]:
    try:
        broker = secured_broker(Path(tmp_path_factory.mktemp("secured")), "reader", PASSWORD)
    except NotHere as reason:
        pytest.skip(str(reason))
    try:
        broker.start()
        yield KafkaLog(broker.bootstrap, ADMIN)
    finally:
        broker.stop()


def source(log: KafkaLog, topic: str, password: str = PASSWORD) -> KafkaSource:
    options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "reader"}
    secrets = {"sasl.password": SecretStr(password)}
    return KafkaSource(Kafka(bootstrap_servers=log.bootstrap, topics={Stream.ORDERS: topic}, options=options, secrets=secrets))


def allow(log: KafkaLog, topic: str) -> None:
    """The reader may read the topic (and so describe it)."""
    rule = AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:reader", "*", AclOperation.READ, AclPermissionType.ALLOW
    )
    for future in log.admin.create_acls([rule]).values():
        future.result(30)


def forbid(log: KafkaLog, topic: str) -> None:
    rules = AclBindingFilter(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:reader", "*", AclOperation.ANY, AclPermissionType.ANY
    )
    for future in log.admin.delete_acls([rules]).values():
        future.result(30)


def test_a_refused_log_in_stops_the_start_and_tells_no_secret(secured_log: KafkaLog, topic: str) -> None:
    with capture_logs() as logged, closing(source(secured_log, topic, WRONG)) as refused:
        with pytest.raises(SourceError, match="Authentication failed") as caught:
            refused.start({}, None)
        assert WRONG not in f"{caught.value!r} {caught.value} {refused!r} {vars(refused)} {logged}"


def test_a_topic_without_the_right_to_read_it_stops_the_start(secured_log: KafkaLog, topic: str) -> None:
    secured_log.create(topic, 1)
    with closing(source(secured_log, topic)) as refused, pytest.raises(SourceError, match=f"refuses access to topic {topic}"):
        refused.start({}, None)


def test_rights_on_topics_alone_are_enough_to_read(secured_log: KafkaLog, topic: str) -> None:
    secured_log.create(topic, 1)
    secured_log.put(numbered(topic, 0, range(3)))
    allow(secured_log, topic)
    with started(source(secured_log, topic)) as reader:
        reader.source.mirror({Partition(topic, 0): NextOffset(0)})  # needs a right on the group: is left undone
        assert reader.read_to_end() == values(0, range(3))


def test_rights_withdrawn_stop_the_source(secured_log: KafkaLog, topic: str) -> None:
    secured_log.create(topic, 1)
    allow(secured_log, topic)
    with started(source(secured_log, topic)) as reader:
        reader.read_to_end()
        forbid(secured_log, topic)
        with pytest.raises(SourceError, match=f"refuses access to topic {topic}"):
            reader.poll_on()
