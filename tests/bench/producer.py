"""A shop's messages sent in order of arrival, some now and some later, at a given rate or as fast as can be."""

import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from confluent_kafka import Producer

from tests.bench.data import Messages, Shop
from tests.support.clients import SILENT
from worker.events import Partition, Stream

_STEP = 0.01  # seconds between some messages and the next
_FLUSH = 30.0
_QUEUED = 50_000


class ShopProducer:
    """`sent_at`: per partition, which nobody else must write to, the second of the monotonic clock at which each offset was sent."""

    def __init__(self, bootstrap: str, topics: dict[Stream, str], shop: Shop) -> None:
        tuning = {"enable.idempotence": True, "compression.type": "lz4"}
        self._producer = Producer({"bootstrap.servers": bootstrap, **tuning}, logger=SILENT)
        self._messages = _in_turn(topics, shop)
        self._next = 0
        self.sent_at: dict[Partition, list[float]] = defaultdict(list)

    @property
    def left(self) -> int:
        return len(self._messages) - self._next

    @property
    def ends(self) -> dict[Partition, int]:
        """First offsets that were not yet sent."""
        return {partition: len(sent) for partition, sent in self.sent_at.items()}

    def send(self, count: int, rate: float | None = None) -> float:
        """The next so many messages, `rate` a second; all are at the broker when it returns. Returns the seconds of sending."""
        began, step = time.monotonic(), max(1, int(rate * _STEP)) if rate else _QUEUED
        for number, (partition, value) in enumerate(self._messages[self._next : self._next + count]):
            if number % step == 0:
                self._pause(began + number / rate if rate else began)
            self.sent_at[partition].append(time.monotonic())
            self._producer.produce(partition.topic, value, partition=partition.number)
        took = time.monotonic() - began
        self._next += count
        if left := self._producer.flush(_FLUSH):
            raise RuntimeError(f"{left:,} messages were not delivered within {_FLUSH:.0f} s")
        return took

    def _pause(self, until: float) -> None:
        """Reports of delivery are taken meanwhile."""
        self._producer.poll(max(0.0, until - time.monotonic()))
        while (rest := until - time.monotonic()) > 0 or len(self._producer) > _QUEUED:
            self._producer.poll(max(rest, _STEP))


def _in_turn(topics: dict[Stream, str], shop: Shop) -> list[tuple[Partition, bytes]]:
    """Both streams, each in order of arrival, evenly mixed."""
    streams = [
        list(_of(topics[Stream.ORDERS], shop.orders.messages())),
        list(_of(topics[Stream.TOUCHPOINTS], shop.touchpoints.messages())),
    ]
    places = np.concatenate([(np.arange(len(stream)) + 0.5) / max(len(stream), 1) for stream in streams])
    both = streams[0] + streams[1]
    return [both[i] for i in np.argsort(places, kind="stable").tolist()]


def _of(topic: str, parts: Iterator[Messages]) -> Iterator[tuple[Partition, bytes]]:
    for part in parts:
        partitions = [Partition(topic, number) for number in part.partitions.tolist()]
        yield from zip(partitions, part.values, strict=True)
