"""Sends messages to a broker, each to the partition that it names."""

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, Producer

from tests.support.clients import SILENT
from worker.events import Message


def send(bootstrap: str, messages: Iterable[Message], options: Mapping[str, Any] | None = None) -> None:
    """Send `messages` and wait until the broker has them all. Their offsets are the broker's to give. Raises RuntimeError."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, **(options or {})}, logger=SILENT)
    queue(producer, messages)
    if left := producer.flush(30):
        raise RuntimeError(f"{left} messages were not delivered to {bootstrap}")


def queue(producer: Producer, messages: Iterable[Message]) -> None:
    """Hand `messages` to `producer`, whose transaction may be open; a message that fails raises RuntimeError."""
    for message in messages:
        kind, timestamp_ms = message.timestamp()
        producer.produce(
            message.topic() or "",
            message.value(),
            message.key(),
            partition=message.partition() or 0,
            headers=message.headers(),  # type: ignore[arg-type]
            timestamp=timestamp_ms if kind else 0,
            on_delivery=_check,
        )
        producer.poll(0)


def _check(error: KafkaError | None, _message: object) -> None:
    if error is not None:
        raise RuntimeError(f"a message was not delivered: {error.str()}")
