"""The worker's own way, fed night by night: its pipeline, its file, its merges."""

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from worker.approaches.counting import CountingStore
from worker.approaches.nights import STREAMS, Arrived, Night
from worker.approaches.rows import DAILY, in_order
from worker.approaches.stopwatch import Stopwatch
from worker.approaches.tables import Reads
from worker.config import Kafka, Settings, Store
from worker.decode import Decoder, NoSchema, ReportingZone
from worker.decode.framing import SchemaRef
from worker.decode.reasons import Reason
from worker.demo.delivery import writer_schemas
from worker.events import MessageBatch, NextOffset, Partition, Position, Stream
from worker.pipeline import Pipeline
from worker.source import Identity
from worker.tables import TABLES

_TOPICS = {stream: stream.value for stream in STREAMS}
KEPT = frozenset({"customer_channel_day", "customer_sales_day", *DAILY})  # the daily tables that are compared, and what they need


class Tidemark:
    """A worker that finds a night's messages in its topics and commits them. `found`, `scanned`: what it reads (see counting.py)."""

    def __init__(self, path: Path, created: datetime) -> None:
        self.watch = Stopwatch()
        self.found, self.scanned = Reads(), Reads()
        settings = _settings(path)
        self._topics = NightlyTopics()
        self._store = CountingStore(settings, created, self.watch, self.found, self.scanned)
        self._pipeline = Pipeline(self._topics, shop_decoder(), self._store, settings)
        self._pipeline.start(created.timestamp())

    def run(self, night: Night) -> None:
        self._topics.arrive(night)
        while len(messages := self._pipeline.poll()):
            batch = self._pipeline.decode(messages, night.over)
            self._pipeline.step(batch, night.over, night.over.timestamp())
            size = sum(len(message.key() or b"") + len(message.value() or b"") for some in messages.messages.values() for message in some)
            for reads in (self.found, self.scanned):
                reads.add("messages", len(messages), size)

    def table(self, name: str) -> pa.Table:
        """A daily table as it stands."""
        return self._rows(name, name)

    def truth(self, name: str) -> pa.Table:
        """The table as one batch over all accepted events, by its defining SELECT."""
        return self._rows(name, f"definition.{name}")

    def close(self) -> None:
        self._store.close()

    def _rows(self, name: str, relation: str) -> pa.Table:
        columns = ", ".join(
            f"cast({field.name} as bigint) as {field.name}" if field.type == pa.int64() else field.name for field in DAILY[name]
        )
        with closing(self._store.cursor()) as cursor:
            return in_order(name, cursor.sql(f"select {columns} from {relation}").to_arrow_table())


class NightlyTopics:
    """A log in memory with one partition a topic (see source.Source): a night's messages are there at once."""

    def __init__(self) -> None:
        self._waiting: dict[Stream, list[Arrived]] = {stream: [] for stream in STREAMS}

    def arrive(self, night: Night) -> None:
        for stream, messages in night.messages.items():
            self._waiting[stream] += messages

    def start(self, _position: Position, _identity: Identity | None) -> Identity:
        return Identity("nights")

    def poll(self, max_messages: int, _max_wait: float) -> MessageBatch:
        taken: dict[Stream, list[Arrived]] = {}
        for stream, waiting in self._waiting.items():
            room = max_messages - sum(map(len, taken.values()))
            taken[stream], self._waiting[stream] = waiting[:room], waiting[room:]
        return MessageBatch(
            taken,
            position={_partition(stream): NextOffset(some[-1].number + 1) for stream, some in taken.items() if some},
            at_end=frozenset(_partition(stream) for stream, waiting in self._waiting.items() if not waiting),
        )

    def topics(self) -> Mapping[Stream, str]:
        return _TOPICS

    def partitions(self) -> frozenset[Partition]:
        return frozenset(map(_partition, STREAMS))

    def mirror(self, position: Position) -> None:
        """Nobody asks this log how far it was read."""

    def close(self) -> None:
        """There is nothing to let go of."""


class WriterSchemas:
    """The shop's schemas, by the ids in its messages (see decode.SchemaSource)."""

    def __init__(self) -> None:
        self._texts = {number: json.dumps(schema) for number, schema in writer_schemas().items()}

    def text(self, ref: SchemaRef) -> str | NoSchema:
        known = self._texts.get(ref) if isinstance(ref, int) else None
        return known or NoSchema(Reason.UNKNOWN_SCHEMA, "not among the shop's")


def shop_decoder() -> Decoder:
    """The worker's decoder with the shop's schemas."""
    times = Settings().time
    return Decoder(WriterSchemas(), ReportingZone(times.reporting_time_zone), times.future_guard, _TOPICS)


def _settings(path: Path) -> Settings:
    """All tables are off but those that are compared and what they need."""
    return Settings(store=Store(path=path), kafka=Kafka(topics=_TOPICS, dlq_suffix=""), tables={name: name in KEPT for name in TABLES})


def _partition(stream: Stream) -> Partition:
    return Partition(_TOPICS[stream], 0)
