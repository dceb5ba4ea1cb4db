"""What doctor learns of a real Kafka and a real registry, and that it leaves no trace there."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]
from pydantic import SecretStr

from tests.contract.test_source_access import PASSWORD, WRONG, allow
from tests.support.findings import gathered, levels, told
from tests.support.java import NotHere
from tests.support.kafka_log import KafkaLog
from tests.support.messages import WRITERS, Produced, framed, order
from tests.support.real_kafka import ADMIN, JarBroker, secured_broker
from tests.support.registry import register, running_registry
from worker.config import Kafka, Registry, Settings
from worker.doctor.broker import LogFacts, Topic, broker_checks
from worker.doctor.file import FileFacts
from worker.doctor.findings import Finding, Level, within
from worker.doctor.messages import message_checks
from worker.doctor.registry import registry_checks
from worker.doctor.topics import position_findings, topic_findings
from worker.events import NextOffset, Partition, Stream
from worker.source import Identity

pytestmark = pytest.mark.kafka

DAY_MS = 86_400_000


def settings_of(log: KafkaLog, topic: str, **kafka: object) -> Settings:
    return Settings(kafka=Kafka.model_validate({"bootstrap_servers": log.bootstrap, "topics": {Stream.ORDERS: topic}, **kafka}))


def configured(log: KafkaLog, topic: str, partitions: int, **configuration: str) -> None:
    """A topic with a configuration of its own; `_` stands for a dot."""
    config = {name.replace("_", "."): value for name, value in configuration.items()}
    log.admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(30)
    log._wait_for_leaders(topic, partitions)


def facts(settings: Settings) -> tuple[list[Finding], LogFacts]:
    findings, log = gathered(within(60, "broker", broker_checks(settings.kafka)))
    assert log is not None, findings
    return findings, log


def test_a_topic_is_known_with_its_id_its_configuration_and_our_rights(kafka_log: KafkaLog, topic: str) -> None:
    configured(kafka_log, topic, 2, retention_ms=str(DAY_MS), cleanup_policy="delete")
    kafka_log.put([Produced(topic, b"x", partition_number=1)])
    settings = settings_of(kafka_log, topic)
    findings, log = facts(settings)
    assert levels(findings) == {"broker": Level.OK}
    told_of = log.topics[topic]
    assert isinstance(told_of, Topic)
    assert (told_of.partitions, told_of.without_leader, {"READ", "DESCRIBE"} <= (told_of.rights or frozenset())) == (2, (), True)
    assert [bound.end for _, bound in sorted(log.bounds.items())] == [0, 1]
    assert log.makes_topics is False
    assert log.may_mirror is not False  # a broker that was never asked for a group does not know yet
    found = list(topic_findings(settings, log))
    assert levels(found) == {"topic": Level.OK, "topic log": Level.WARNING, "rejected": Level.WARNING}
    assert f"{topic}.dlq can't be written: Broker: Unknown topic or partition" in told(found, "rejected").found


def test_a_topic_that_does_not_exist_is_a_problem_and_the_others_are_known(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(f"{topic}.dlq", 1)
    settings = settings_of(kafka_log, topic)
    _, log = facts(settings)
    assert levels(topic_findings(settings, log)) == {"topic": Level.PROBLEM}
    assert isinstance(log.topics[f"{topic}.dlq"], Topic)


def test_a_topic_that_was_replaced_is_found_before_the_worker_stops_at_it(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(topic, 1)
    _, before = facts(settings_of(kafka_log, topic))
    replaced = before.topics[topic]
    assert isinstance(replaced, Topic)
    file = FileFacts({Partition(topic, 0): NextOffset(0)}, Identity(before.cluster_id, {topic: replaced.id}))
    assert levels(position_findings(before, file)) == {"position": Level.OK}
    kafka_log.replace(topic, 1)
    _, after = facts(settings_of(kafka_log, topic))
    assert f"--accept-replaced-topic {topic}" in told(position_findings(after, file), "position").remedy


def test_unread_messages_that_will_soon_be_deleted_are_a_warning(kafka_log: KafkaLog, topic: str) -> None:
    now = datetime.now(UTC)
    configured(kafka_log, topic, 1, retention_ms=str(7 * DAY_MS))
    written_ms = int(time.time() * 1000) - 6 * DAY_MS
    kafka_log.put([Produced(topic, framed(1, order(ordered_at=now)), timestamp_ms=written_ms) for _ in range(3)])
    settings = settings_of(kafka_log, topic)
    _, log = facts(settings)
    partition = Partition(topic, 0)
    for next_offset, expected in ((1, {"position": Level.WARNING, "messages": Level.PROBLEM}), (3, {"messages": Level.PROBLEM})):
        file = FileFacts({partition: NextOffset(next_offset)}, Identity(log.cluster_id))
        found, newest_ahead = gathered(message_checks(settings, log, file, lambda: now))  # without schemas: all are rejected
        assert levels(found) == expected
        assert timedelta(days=-7) < newest_ahead[topic] < timedelta(days=-5)


def test_a_broker_that_makes_topics_is_not_led_to_make_one(tmp_path: Path) -> None:
    try:
        broker = JarBroker(tmp_path, {"auto.create.topics.enable": "true"})
    except NotHere as reason:
        pytest.skip(str(reason))
    try:
        broker.start()
        log = KafkaLog(broker.bootstrap)
        log.create("orders", 1)
        settings = settings_of(log, "orders")
        _, found = facts(settings)
        gathered(message_checks(settings, found, FileFacts(), lambda: datetime.now(UTC)))
        assert found.makes_topics
        assert levels(topic_findings(settings, found))["rejected"] is Level.OK
        topics = log.admin.list_topics(timeout=30).topics
        assert {name for name in topics if not name.startswith("__")} == {"orders"}
    finally:
        broker.stop()


ASKS_OF_THE_GROUP = """
import sys, time
from worker.config import Kafka
from worker.doctor import broker
broker.SECONDS = 1.0
admin = broker._Admin(Kafka(bootstrap_servers=sys.argv[1]))
print("the broker is there", bool(admin.nodes), flush=True)
sys.stdin.readline()
print("it may mirror:", admin.may_mirror("a group"), flush=True)
del admin
sys.stdin.readline()
time.sleep(3)
"""


def test_a_broker_that_goes_away_amid_the_questions_and_comes_back_leaves_the_rest_unknown(tmp_path: Path) -> None:
    """In a process of its own: what librdkafka does not bear, aborts it."""
    try:
        broker = JarBroker(tmp_path)
    except NotHere as reason:
        pytest.skip(str(reason))
    try:
        broker.start()
        command = [sys.executable, "-c", ASKS_OF_THE_GROUP, broker.bootstrap]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as doctor:
            assert doctor.stdin is not None
            assert doctor.stdout is not None
            assert doctor.stdout.readline() == "the broker is there True\n"
            with broker.hung():
                doctor.stdin.write("\n")
                assert next(line for line in doctor.stdout if line.startswith("it may")) == "it may mirror: None\n"
            doctor.communicate("\n", timeout=60)
        assert doctor.returncode == 0
    finally:
        broker.stop()


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


def secured(log: KafkaLog, topic: str, password: str = PASSWORD) -> Settings:
    options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "reader"}
    return settings_of(log, topic, options=options, secrets={"sasl.password": SecretStr(password)})


def test_rights_on_the_topic_alone_leave_the_rest_unknown_and_are_enough(secured_log: KafkaLog, topic: str) -> None:
    secured_log.create(topic, 1)
    secured_log.create(f"{topic}.dlq", 1)
    settings = secured(secured_log, topic)
    _, log = facts(settings)
    assert levels(topic_findings(settings, log))["topic"] is Level.PROBLEM
    allow(secured_log, topic)
    _, log = facts(settings)
    found = levels(topic_findings(settings, log))
    assert found == {"topic": Level.OK, "topic log": Level.SKIPPED, "rejected": Level.WARNING, "mirror": Level.WARNING}


def test_a_wrong_password_is_a_problem_that_does_not_tell_it(secured_log: KafkaLog, topic: str) -> None:
    findings, log = gathered(within(60, "broker", broker_checks(secured(secured_log, topic, WRONG).kafka)))
    assert log is None
    assert "Authentication failed" in findings[-1].found
    assert WRONG not in repr(findings)


def test_a_real_registry_tells_schemas_rules_and_its_clock(tmp_path: Path, topic: str) -> None:
    try:
        with running_registry(tmp_path) as url:
            register(url, f"{topic}-value", json.dumps(WRITERS[4]))
            topics = {Stream.ORDERS: topic, Stream.TOUCHPOINTS: f"{topic}.none"}
            findings, ahead = gathered(registry_checks(Registry(url=url), topics, lambda: datetime.now(UTC)))
    except NotHere as reason:
        pytest.skip(str(reason))
    schemas = [finding.found for finding in findings if finding.check == "schema"]
    assert schemas[0].startswith(f"{topic}-value version 1, id ")
    assert schemas[0].endswith(": read in columns")
    assert schemas[1].startswith(f"there is no subject {topic}.none-value")
    assert Level.PROBLEM not in levels(findings).values()
    assert ahead is None or abs(ahead) < timedelta(minutes=1)
