"""How fast KafkaSource alone reads, and what it costs: `python -m tests.bench.bench_source [MESSAGES]`."""

import os
import resource
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Producer

from tests.support.clients import SILENT
from tests.support.kafka_log import KafkaLog
from tests.support.real_kafka import running_broker
from worker.config import Kafka
from worker.events import Stream
from worker.source.kafka import KafkaSource

PARTITIONS = 6
VALUE_BYTES = 98
IDLE_SECONDS = 10.0


def fill(log: KafkaLog, topics: dict[Stream, str], messages: int) -> None:
    """One message in six is an order."""
    options = {"compression.type": "lz4", "linger.ms": 50, "batch.size": 1_000_000, "queue.buffering.max.messages": 10_000_000}
    producer = Producer({"bootstrap.servers": log.bootstrap, **options}, logger=SILENT)
    for topic in topics.values():
        log.create(topic, PARTITIONS)
    for number in range(messages):
        value = number.to_bytes(8) + os.urandom(VALUE_BYTES // 2 - 8)
        topic = topics[Stream.ORDERS if number % 6 == 0 else Stream.TOUCHPOINTS]
        producer.produce(topic, value.ljust(VALUE_BYTES), partition=number // 6 % PARTITIONS)
    producer.flush()


def main(messages: int) -> None:
    topics = {Stream.ORDERS: f"orders.{uuid4().hex[:8]}", Stream.TOUCHPOINTS: f"touchpoints.{uuid4().hex[:8]}"}
    with tempfile.TemporaryDirectory() as directory, running_broker(Path(directory)) as broker:
        fill(KafkaLog(broker.bootstrap), topics, messages)
        with closing(KafkaSource(Kafka(bootstrap_servers=broker.bootstrap, topics=topics))) as source:
            began, cpu, own_cpu, read = time.perf_counter(), time.process_time(), time.thread_time(), 0
            source.start({}, None)
            while read < messages:
                read += len(source.poll(100_000, 0.25))
            wall, cpu, own_cpu = time.perf_counter() - began, time.process_time() - cpu, time.thread_time() - own_cpu
            print(f"{read / wall:,.0f} messages/s in polls of up to 100,000 ({VALUE_BYTES} bytes, lz4, {PARTITIONS} partitions)")
            print(f"{cpu / read * 1e6:.2f} µs of CPU a message, {own_cpu / read * 1e6:.2f} of them in the polling thread")
            print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most, with what filled the topics")
            began, cpu = time.perf_counter(), time.process_time()
            while time.perf_counter() - began < IDLE_SECONDS:
                source.poll(100_000, 0.25)
            print(f"{100 * (time.process_time() - cpu) / IDLE_SECONDS:.1f} % of a core when nothing comes")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
