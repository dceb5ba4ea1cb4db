"""Rejected messages on their way out of the file: from the outbox to each topic's DLQ (its name with kafka.dlq_suffix)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from worker import config
from worker.source.client import create

HEADER_PREFIX = "tidemark."
QUEUE_FULL = "the producer's queue is full"
_TUNING = {
    "queue.buffering.max.messages": 10_000,
    "queue.buffering.max.kbytes": 65_536,
    "message.max.bytes": 67_108_864,  # what could be read must not be refused here
    "message.timeout.ms": 30_000,
    "topic.metadata.propagation.max.ms": 5_000,  # after so long a topic that is missing is reported
    "linger.ms": 5,
}


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A rejected message as the file keeps it. Where it came from a file, `file` and `row` say so, and partition and offset are -1."""

    id: int
    topic: str
    topic_id: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int | None
    stage: str
    reason: str
    detail: str
    file: str | None = None
    row: int | None = None

    @property
    def origin(self) -> str:
        """What a reader of the DLQ can tell copies by: delivery is at least once."""
        return f"{self.topic_id}/{self.partition}/{self.offset}" if self.file is None else f"{self.file}#{self.row}"


class Delivery(NamedTuple):
    """`delivered`: ids of rows that the broker has, those handed in by earlier calls included. `pending`: why others are not there yet."""

    delivered: frozenset[int]
    pending: Mapping[int, str]


class DlqSink(Protocol):
    """Where the outbox is emptied to."""

    def send(self, rows: Sequence[OutboxRow], timeout: float) -> Delivery:
        """Send rows, waiting at most `timeout` seconds (less, where the broker has said no). What is pending may be handed in again."""
        ...

    def close(self) -> None:
        """Let go; what is not delivered stays pending. May be called twice."""
        ...


class DlqProducer:
    """A DlqSink on Kafka. Rows on their way are not sent twice, so a broker that is away does not fill the queue with copies."""

    def __init__(self, settings: config.Kafka) -> None:
        """Raises ConfigError where the options are wrong; needs no broker yet."""
        self._suffix = settings.dlq_suffix
        self._producer: Producer = create(Producer, settings, {"enable.idempotence": True}, _TUNING)
        self._on_the_way: set[int] = set()
        self._delivered: set[int] = set()
        self._failed: dict[int, str] = {}

    def send(self, rows: Sequence[OutboxRow], timeout: float) -> Delivery:
        deadline = time.monotonic() + timeout
        self._failed.clear()
        self._producer.poll(0)
        for row in rows:
            if row.id not in self._on_the_way and row.id not in self._delivered:
                self._produce(row)
        self._producer.flush(max(0.0, deadline - time.monotonic()))
        delivered, self._delivered = frozenset(self._delivered), set()
        why = {row.id: self._failed.get(row.id, "no answer from the broker yet") for row in rows if row.id not in delivered}
        return Delivery(delivered, why)

    def close(self) -> None:
        self._producer.purge()

    def _produce(self, row: OutboxRow) -> None:
        try:
            self._producer.produce(
                row.topic + self._suffix, row.value, row.key, headers=_headers(row), on_delivery=partial(self._report, row.id)
            )
        except BufferError:
            self._failed[row.id] = QUEUE_FULL
        except KafkaException as error:
            self._failed[row.id] = error.args[0].str()
        else:
            self._on_the_way.add(row.id)

    def _report(self, row_id: int, error: KafkaError | None, _message: object) -> None:
        self._on_the_way.discard(row_id)
        if error is None:
            self._delivered.add(row_id)
        else:
            self._failed[row_id] = error.str()


def _headers(row: OutboxRow) -> list[tuple[str, str | bytes | None]]:
    """The message's own headers, then where it came from and why it is here.

    Its timestamp is one of them and not the record's: the broker may refuse a record whose timestamp is far off.
    """
    told = {
        "origin": row.origin,
        "topic": row.topic,
        "topic_id": row.topic_id,
        "partition": row.partition,
        "offset": row.offset,
        "timestamp_ms": row.timestamp_ms,
        "stage": row.stage,
        "reason": row.reason,
        "detail": row.detail,
    }
    # Sent again by hand and rejected again, a message has them already.
    own = [(name, value) for name, value in row.headers if not name.startswith(HEADER_PREFIX)]
    return [*own, *((HEADER_PREFIX + name, str(value).encode(errors="replace")) for name, value in told.items() if value is not None)]
