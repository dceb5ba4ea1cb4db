"""What decoding costs, without a broker: `python -m tests.bench.bench_decode [MESSAGES]`."""

import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np

from tests.bench.data import ORDER_SCHEMA, TOUCHPOINT_SCHEMA, Messages, Shape, Shop
from tests.support.avro import GivenSchemas, message
from tests.support.messages import WRITERS
from worker.decode import Decoder, ReportingZone
from worker.events import Message, MessageBatch, Stream

ROUNDS = 7
NOW = datetime(2100, 1, 1, tzinfo=UTC)


def received(parts: Iterable[Messages]) -> list[Message]:
    """The messages as librdkafka hands them out."""
    placed = chain.from_iterable(zip(part.partitions.tolist(), part.values, strict=True) for part in parts)
    return [message(value, partition, offset) for offset, (partition, value) in enumerate(placed)]


def cost(batch: MessageBatch, zone: str) -> float:
    """Seconds of CPU to decode the batch: the least of some rounds, for what else the machine does only adds."""
    schemas = GivenSchemas({number: WRITERS[number] for number in (ORDER_SCHEMA, TOUCHPOINT_SCHEMA)})
    decoder = Decoder(schemas, ReportingZone(zone), timedelta(0), {stream: stream.value for stream in Stream})
    seconds = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        events = decoder.decode(batch, NOW)
        seconds.append(time.thread_time() - began)
        assert sum(map(len, events.events.values())) == len(batch)
    return float(np.min(seconds))


def main(messages: int) -> None:
    shop = Shop(Shape(messages=messages))
    touchpoints, orders = received(shop.touchpoints.messages()), received(shop.orders.messages())
    both = MessageBatch({Stream.TOUCHPOINTS: touchpoints, Stream.ORDERS: orders})
    cases = {
        "touchpoints and orders": (both, "UTC"),
        "in America/New_York": (both, "America/New_York"),
        "touchpoints": (MessageBatch({Stream.TOUCHPOINTS: touchpoints}), "UTC"),
        "orders": (MessageBatch({Stream.ORDERS: orders}), "UTC"),
        "a small batch": (MessageBatch({Stream.TOUCHPOINTS: touchpoints[:10], Stream.ORDERS: orders[:5]}), "UTC"),
    }
    for name, (batch, zone) in cases.items():
        seconds = cost(batch, zone)
        print(f"{name:24} {len(batch):8,} messages  {seconds / len(batch) * 1e6:7.2f} µs each  {seconds * 1e3:8.2f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
