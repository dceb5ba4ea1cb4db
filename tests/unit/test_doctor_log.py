"""What doctor says of the broker, of the topics, of the position in their logs, and of the last messages."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID

from tests.support.avro import GivenSchemas, message, with_id
from tests.support.findings import gathered, levels, told
from tests.support.kafka_log import GROUP, MockLog
from tests.support.messages import EPOCH, WRITERS, Produced, framed, order, touchpoint
from tests.support.mock_broker import PARTITIONS, mock_broker
from tests.support.produce import send
from worker.config import Kafka, Settings, Time
from worker.doctor.broker import Connect, LogFacts, Topic, addresses, advertised_findings, broker_checks, connection_fault, server_findings
from worker.doctor.file import FileFacts
from worker.doctor.findings import Finding, Level
from worker.doctor.messages import decoded_findings, message_checks, refs_of
from worker.doctor.topics import (
    configuration_finding,
    deadline_findings,
    position_findings,
    rejected_finding,
    topic_findings,
)
from worker.events import NextOffset, Partition, Stream
from worker.source import Identity
from worker.source.losses import Bounds

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
DAY_MS = 86_400_000
ORDERS, DLQ = "orders", "orders.dlq"
RIGHTS = frozenset({"READ", "WRITE", "DESCRIBE"})
KEPT = {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS), "message.timestamp.type": "CreateTime"}


def topic(**different: Any) -> Topic:
    return replace(Topic("T1", 2, (), RIGHTS, KEPT), **different)


def log_of(orders: Topic | str | None = None, dlq: Topic | str | None = None, **different: Any) -> LogFacts:
    """A log with the one topic that is read."""
    bounds = {Partition(ORDERS, 0): Bounds(10, 90), Partition(ORDERS, 1): Bounds(0, 0)}
    return replace(
        LogFacts("C1", {ORDERS: orders or topic(), DLQ: dlq or topic()}, bounds, makes_topics=False, may_mirror=True), **different
    )


SETTINGS = Settings(kafka=Kafka(topics={Stream.ORDERS: ORDERS}))


# The broker


def connecting(faults: Mapping[str, str]) -> Connect:
    return lambda host, port: faults.get(f"{host}:{port}")


def test_addresses_are_hosts_and_ports() -> None:
    assert addresses("a:1, [::1]:22") == [("a", 1), ("::1", 22)]


@pytest.mark.parametrize(
    ("faults", "level"),
    [({}, Level.OK), ({"a:1": "refused"}, Level.WARNING), ({"a:1": "refused", "b:2": "no such host"}, Level.PROBLEM)],
)
def test_one_server_that_can_be_reached_will_do(faults: dict[str, str], level: Level) -> None:
    assert levels(server_findings([("a", 1), ("b", 2)], connecting(faults))) == {"broker": level}


def test_addresses_that_the_broker_gives_and_nobody_reaches_are_a_problem() -> None:
    nodes = [("inside", 1), ("outside", 2)]
    assert not list(advertised_findings(nodes, connecting({})))
    (finding,) = advertised_findings(nodes, connecting({"inside:1": "no such host"}))
    assert (finding.level, "inside:1: no such host" in finding.found, "outside" in finding.found) == (Level.PROBLEM, True, False)


def test_why_nobody_takes_a_connection() -> None:
    assert connection_fault("127.0.0.1", 1) == "Connection refused"
    assert connection_fault("no.such.host.invalid", 1)


def test_a_broker_that_is_away_is_a_problem_and_nothing_more_is_asked() -> None:
    findings, log = gathered(broker_checks(Kafka(bootstrap_servers="127.0.0.1:1")))
    assert (levels(findings), log) == ({"broker": Level.PROBLEM}, None)


@pytest.fixture
def kafka() -> Iterator[Kafka]:
    with mock_broker() as bootstrap:
        yield Kafka(bootstrap_servers=bootstrap, topics={Stream.ORDERS: ORDERS}, group_id=GROUP)


def test_the_mock_cluster_is_a_warning_and_its_topics_are_looked_at(kafka: Kafka) -> None:
    findings, log = gathered(broker_checks(kafka))
    assert [finding.level for finding in findings] == [Level.OK, Level.WARNING]
    assert log is not None
    assert log.topics[ORDERS] == Topic("unknown", PARTITIONS)
    assert log.bounds == {Partition(ORDERS, number): Bounds(0, 0) for number in range(PARTITIONS)}


# Topics


def test_topics_as_they_should_be_are_fine() -> None:
    found = levels(topic_findings(SETTINGS, log_of()))
    assert found == {"topic": Level.OK, "topic log": Level.OK, "rejected": Level.OK}


@pytest.mark.parametrize(
    ("there", "told_of"),
    [
        ("Broker: Unknown topic or partition", "orders can't be read: Broker: Unknown topic"),
        (topic(id="A" * 22), "gives topics no ids"),
        (topic(without_leader=(1,)), "partitions without a leader: 1"),
        (topic(rights=frozenset({"DESCRIBE"})), "this user may not read it"),
    ],
)
def test_a_topic_that_can_not_be_read_is_a_problem(there: Topic | str, told_of: str) -> None:
    problems = [finding for finding in topic_findings(SETTINGS, log_of(there)) if finding.level is Level.PROBLEM]
    assert [told_of in finding.found for finding in problems] == [True]


def test_rights_that_are_not_told_are_no_problem() -> None:
    assert levels(topic_findings(SETTINGS, log_of(topic(rights=None), topic(rights=None))))["topic"] is Level.OK


def test_offsets_that_can_not_be_mirrored_are_a_warning() -> None:
    assert levels(topic_findings(SETTINGS, log_of(may_mirror=False)))["mirror"] is Level.WARNING


@pytest.mark.parametrize(
    ("stream", "configuration", "level", "mended_by"),
    [
        (Stream.ORDERS, KEPT, Level.OK, ""),
        (Stream.ORDERS, KEPT | {"retention.ms": "-1"}, Level.OK, ""),
        (Stream.ORDERS, KEPT | {"retention.ms": str(DAY_MS)}, Level.WARNING, f"retention.ms={7 * DAY_MS}"),
        (Stream.ORDERS, KEPT | {"cleanup.policy": "compact"}, Level.WARNING, "cleanup.policy=delete"),
        (Stream.TOUCHPOINTS, KEPT | {"cleanup.policy": "compact,delete"}, Level.WARNING, "cleanup.policy=delete"),
        (Stream.ORDERS, KEPT | {"message.timestamp.type": "LogAppendTime"}, Level.WARNING, "message.timestamp.type=CreateTime"),
        (Stream.TOUCHPOINTS, KEPT | {"message.timestamp.type": "LogAppendTime"}, Level.OK, ""),
        (Stream.CUSTOMERS, KEPT, Level.WARNING, "cleanup.policy=compact"),
        (Stream.CUSTOMERS, KEPT | {"cleanup.policy": "compact"}, Level.OK, ""),
        (Stream.PRODUCTS, KEPT | {"retention.ms": "-1"}, Level.OK, ""),
        (Stream.ORDERS, None, Level.SKIPPED, ""),
    ],
)
def test_what_a_topics_configuration_means_for_us(stream: Stream, configuration: Any, level: Level, mended_by: str) -> None:
    finding = configuration_finding(stream, "t", topic(configuration=configuration), SETTINGS)
    assert (finding.level, finding.remedy.rpartition(" ")[2]) == (level, mended_by)


def test_a_log_should_outlast_the_allowed_lateness() -> None:
    settings = SETTINGS.model_copy(update={"time": Time(allowed_lateness=timedelta(days=29))})
    finding = configuration_finding(Stream.ORDERS, "t", topic(), settings)
    assert (finding.level, finding.remedy.rpartition(" ")[2]) == (Level.WARNING, f"retention.ms={31 * DAY_MS}")


@pytest.mark.parametrize(
    ("dlq", "makes_topics", "level"),
    [
        (topic(), False, Level.OK),
        ("Broker: Unknown topic or partition", False, Level.WARNING),
        ("Broker: Unknown topic or partition", None, Level.WARNING),
        ("Broker: Unknown topic or partition", True, Level.OK),
        (topic(rights=frozenset({"DESCRIBE"})), False, Level.WARNING),
        (topic(configuration=KEPT | {"max.message.bytes": "1000"}), False, Level.WARNING),
    ],
)
def test_whether_rejected_messages_can_go_where_they_should(dlq: Topic | str, makes_topics: bool | None, level: Level) -> None:
    assert rejected_finding(SETTINGS.kafka, ORDERS, topic(), log_of(dlq=dlq, makes_topics=makes_topics)).level is level


def test_without_topics_for_rejected_messages_none_is_looked_for() -> None:
    settings = Settings(kafka=Kafka(topics={Stream.ORDERS: ORDERS}, dlq_suffix=""))
    assert "rejected" not in levels(topic_findings(settings, replace(log_of(), topics={ORDERS: topic()})))


# The position


def position(offset: int, cluster: str = "C1", topic_id: str = "T1") -> FileFacts:
    return FileFacts({Partition(ORDERS, 0): NextOffset(offset)}, Identity(cluster, {ORDERS: topic_id}))


def test_how_far_the_position_is_from_the_end() -> None:
    assert told(position_findings(log_of(), position(50)), "position").found == "orders: 40 offsets to read in 1 partition"
    assert told(position_findings(log_of(), position(90)), "position").found == "orders: read to its end"
    assert told(position_findings(log_of(), FileFacts()), "position").found == "orders: nothing read yet, 80 offsets to read in 1 partition"


@pytest.mark.parametrize(
    ("file", "flag"),
    [
        (position(9), "--accept-lost-offsets orders"),
        (position(91), "--accept-lost-offsets orders"),
        (position(50, topic_id="T0"), "--accept-replaced-topic orders"),
        (position(50, cluster="C0"), "--accept-replaced-cluster"),
    ],
)
def test_a_log_that_is_not_what_it_was_is_a_problem_with_the_flag_that_accepts_it(file: FileFacts, flag: str) -> None:
    finding = told(position_findings(log_of(), file), "position")
    assert (finding.level, flag in finding.remedy) == (Level.PROBLEM, True)


def test_without_a_partition_nothing_is_said_of_the_position() -> None:
    assert levels(position_findings(log_of(bounds={}), position(50))) == {"position": Level.SKIPPED}


@pytest.mark.parametrize(
    ("age", "level", "found"),
    [
        (timedelta(days=1), Level.OK, "what is not read yet is kept for 29d at least"),
        (timedelta(days=29, hours=20), Level.WARNING, "may be deleted in 4h "),
        (timedelta(days=31), Level.WARNING, "may be deleted at any moment"),
    ],
)
def test_how_long_until_the_unread_may_be_deleted(age: timedelta, level: Level, found: str) -> None:
    first_unread = {Partition(ORDERS, 0): NOW - age, Partition(ORDERS, 1): NOW}
    finding = told(deadline_findings(log_of(), first_unread, NOW), "position")
    assert (finding.level, found in finding.found) == (level, True), finding


def test_what_is_kept_for_ever_is_not_deleted() -> None:
    for_ever = log_of(topic(configuration=KEPT | {"retention.ms": "-1"}))
    assert not list(deadline_findings(for_ever, {Partition(ORDERS, 0): EPOCH}, NOW))


# The last messages

SCHEMAS = GivenSchemas({1: WRITERS[1], 2: WRITERS[2], 4: WRITERS[4]})
GOOD = framed(1, order(ordered_at=NOW))


def looked_at(*values: bytes | None) -> list[Finding]:
    messages = [message(value, offset=place, key=b"o1", timestamp=(1, int(NOW.timestamp() * 1000))) for place, value in enumerate(values)]
    return list(decoded_findings(SETTINGS, {Stream.ORDERS: messages}, SCHEMAS, NOW))


def test_messages_that_can_be_read_name_their_schemas() -> None:
    findings = looked_at(GOOD, GOOD, framed(4, order(ordered_at=NOW)), None)
    assert {finding.level for finding in findings} == {Level.OK}
    assert told(findings, "messages").found == "orders: of the last 4 messages all can be read"
    assert [finding.found for finding in findings if finding.check == "schema"] == [
        "id 1, named by 2 messages of orders: read in columns",
        "id 4, named by 1 message of orders: read in columns",
    ]


def test_some_rejected_messages_are_a_warning_and_many_a_problem() -> None:
    finding = told(looked_at(GOOD, GOOD, b"junk"), "messages")
    assert (finding.level, "1 would be rejected: 1 bad_frame; the first: partition 0 offset 2: magic byte" in finding.found) == (
        Level.WARNING,
        True,
    )
    finding = told(looked_at(GOOD, with_id(99, b""), with_id(99, b"")), "messages")
    assert (finding.level, "2 unknown_schema" in finding.found) == (Level.PROBLEM, True)


def test_messages_of_another_stream_are_a_problem_twice_told() -> None:
    findings = looked_at(framed(2, touchpoint(occurred_at=NOW)))
    assert levels(findings) == {"messages": Level.PROBLEM, "schema": Level.PROBLEM}


@pytest.mark.parametrize(
    ("currencies", "level", "found"),
    [
        (("EUR", "USD", "EUR"), Level.OK, "orders: 1 of the last 3 is in USD"),
        (("EUR", "usd", "EUR"), Level.WARNING, "orders: of the last 3 none is in USD, but 2 EUR, 1 usd"),
    ],
)
def test_orders_that_are_all_in_another_currency_than_the_reporting_one(currencies: tuple[str, ...], level: Level, found: str) -> None:
    finding = told(looked_at(*(framed(1, order(ordered_at=NOW, currency=currency)) for currency in currencies)), "currency")
    assert (finding.level, finding.found.startswith(found)) == (level, True), finding


def test_an_empty_topic_is_fine() -> None:
    assert told(looked_at(), "messages").found == "orders: there are none yet"


def test_schemas_are_counted_by_their_ids() -> None:
    assert refs_of([message(GOOD), message(None), message(b"junk"), message(GOOD)]) == {1: 2}


def test_a_few_of_the_last_messages_of_each_partition_are_read_and_none_committed(kafka: Kafka) -> None:
    now_ms = int(NOW.timestamp() * 1000)
    send(
        kafka.bootstrap_servers,
        [Produced(ORDERS, GOOD, timestamp_ms=now_ms + offset, partition_number=number) for number in (0, 1) for offset in range(8)],
    )
    settings = Settings(kafka=kafka).model_copy(update={"registry": SETTINGS.registry})
    _, log = gathered(broker_checks(kafka))
    assert log is not None
    findings, newest_ahead = gathered(message_checks(settings, log, FileFacts(), lambda: NOW))
    assert "of the last 10 messages 10 would be rejected: 10 unknown_schema" in told(findings, "messages").found
    assert newest_ahead == {ORDERS: timedelta(milliseconds=7)}
    assert set(MockLog(kafka.bootstrap_servers).mirrored(log.bounds).values()) == {OFFSET_INVALID}
