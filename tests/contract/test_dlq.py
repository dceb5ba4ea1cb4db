"""Rejected messages reach their DLQ whole, at least once, and never hold the worker up."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pytest

from tests.support.kafka_log import KafkaLog, MockLog
from tests.support.reader import PATIENCE, reading
from tests.support.real_kafka import JarBroker
from worker.config import Kafka
from worker.events import Message
from worker.source.dlq import Delivery, DlqProducer, OutboxRow

FRAME = OutboxRow(
    id=7,
    topic="",
    topic_id="3f2a",
    partition=2,
    offset=81_204,
    key=b"key",
    value=b"\x01not avro",
    headers=[("trace", b"\xff"), ("empty", None)],
    timestamp_ms=1_700_000_000_123,
    stage="frame",
    reason="bad_magic",
    detail="the first byte is 1, not 0",
)


@pytest.fixture(params=["mock", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, topic: str) -> MockLog:
    """A log with the topic's DLQ."""
    log: MockLog = request.getfixturevalue(f"{request.param}_log")
    log.create(f"{topic}.dlq", 4)
    return log


def dlq(log: MockLog) -> DlqProducer:
    return DlqProducer(Kafka(bootstrap_servers=log.bootstrap))


def send_until_delivered(producer: DlqProducer, rows: Sequence[OutboxRow]) -> None:
    """As the outbox does: what is pending is handed in again."""
    left = {row.id: row for row in rows}
    for _ in range(PATIENCE):
        for delivered in producer.send(list(left.values()), 1.0).delivered:
            del left[delivered]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"not delivered: {left}")


def in_dlq(log: MockLog, topic: str) -> list[Message]:
    with reading(log, f"{topic}.dlq") as reader:
        reader.read_to_end()
        return reader.messages


def headers(message: Message) -> dict[str, bytes | None]:
    return dict(message.headers() or [])


def test_a_rejected_message_arrives_whole_and_says_where_it_came_from_and_why(log: MockLog, topic: str) -> None:
    with closing(dlq(log)) as producer:
        send_until_delivered(producer, [replace(FRAME, topic=topic)])
    (message,) = in_dlq(log, topic)
    assert (message.key(), message.value()) == (b"key", b"\x01not avro")
    assert headers(message) == {
        "trace": b"\xff",
        "empty": None,
        "tidemark.origin": b"3f2a/2/81204",
        "tidemark.topic": topic.encode(),
        "tidemark.topic_id": b"3f2a",
        "tidemark.partition": b"2",
        "tidemark.offset": b"81204",
        "tidemark.timestamp_ms": b"1700000000123",
        "tidemark.stage": b"frame",
        "tidemark.reason": b"bad_magic",
        "tidemark.detail": b"the first byte is 1, not 0",
    }


def test_a_message_rejected_for_the_second_time_says_so_once(log: MockLog, topic: str) -> None:
    sent_again = replace(FRAME, topic=topic, headers=[("tidemark.offset", b"1"), ("tidemark.reason", b"another")])
    with closing(dlq(log)) as producer:
        send_until_delivered(producer, [sent_again])
    (message,) = in_dlq(log, topic)
    assert [name for name, _ in message.headers() or [] if name == "tidemark.reason"] == ["tidemark.reason"]
    assert headers(message)["tidemark.offset"] == b"81204"


def test_a_row_of_a_file_names_the_file(log: MockLog, topic: str) -> None:
    with closing(dlq(log)) as producer:
        send_until_delivered(producer, [replace(FRAME, topic=topic, partition=-1, offset=-1, file="a.parquet", row=17)])
    (message,) = in_dlq(log, topic)
    assert headers(message)["tidemark.origin"] == b"a.parquet#17"


def test_more_rows_than_the_queue_holds_are_all_delivered_in_the_end(log: MockLog, topic: str) -> None:
    rows = [replace(FRAME, topic=topic, id=number, offset=number) for number in range(12_000)]
    with closing(dlq(log)) as producer:
        send_until_delivered(producer, rows)
    assert {headers(message)["tidemark.offset"] for message in in_dlq(log, topic)} == {b"%d" % number for number in range(12_000)}


def test_a_broker_that_is_away_leaves_every_row_pending() -> None:
    producer = DlqProducer(Kafka(bootstrap_servers="127.0.0.1:1"))
    with closing(producer):
        for _ in range(2):
            assert producer.send([FRAME], 0.1) == Delivery(frozenset(), {7: "no answer from the broker yet"})


@pytest.mark.kafka
def test_a_missing_dlq_is_told_and_used_once_it_is_there(kafka_log: KafkaLog, topic: str) -> None:
    row = replace(FRAME, topic=topic)
    with closing(dlq(kafka_log)) as producer:
        reasons: set[str] = set()
        while not any("nknown topic" in reason for reason in reasons):
            reasons.update(producer.send([row], 1.0).pending.values())
        kafka_log.create(f"{topic}.dlq", 1)
        send_until_delivered(producer, [row])
    assert len(in_dlq(kafka_log, topic)) == 1


@pytest.mark.kafka
def test_a_row_that_the_broker_refuses_does_not_hold_up_the_others(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(f"{topic}.dlq", 1)
    too_large, fits = replace(FRAME, topic=topic, id=1, value=bytes(3_000_000)), replace(FRAME, topic=topic, id=2)
    with closing(dlq(kafka_log)) as producer:
        delivered: set[int] = set()
        reasons: set[str] = set()
        while not (delivered and "Broker: Message size too large" in reasons):
            answer = producer.send([too_large, *([] if delivered else [fits])], 1.0)
            delivered |= answer.delivered
            reasons.update(answer.pending.values())
    assert delivered == {2}


@pytest.mark.kafka
def test_a_broker_that_comes_back_gets_what_is_pending(own_broker: JarBroker, kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.create(f"{topic}.dlq", 1)
    with closing(dlq(kafka_log)) as producer:
        own_broker.stop()
        assert producer.send([replace(FRAME, topic=topic)], 1.0).delivered == frozenset()
        own_broker.start()
        send_until_delivered(producer, [replace(FRAME, topic=topic)])
    assert {headers(message)["tidemark.origin"] for message in in_dlq(kafka_log, topic)} == {b"3f2a/2/81204"}
