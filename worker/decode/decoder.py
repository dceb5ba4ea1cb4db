"""The decoder: a batch of messages becomes a batch of events, tombstones and rejected messages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from worker.decode import columns
from worker.decode.accept import Origins, events_of, in_day_order
from worker.decode.calendar import EARLIEST, ReportingZone, micros
from worker.decode.cursor import Buffer, Ints
from worker.decode.framing import Bodies, headers_of, unframe
from worker.decode.readings import Reading, Readings, in_order
from worker.decode.reasons import Reason
from worker.decode.schemas import NoSchema, SchemaSource
from worker.events import TOMBSTONES, EventBatch, KeptMessage, Message, MessageBatch, Rejected, Stream

MAX_ROWS = 16_384  # messages decoded at once: their columns stay in the processor's cache
MAX_BYTES = 1 << 28  # of these; Arrow's positions are 32 bits wide


@dataclass(slots=True)
class Stats:
    """Messages with a usable schema, by the way they were read, since the start."""

    rows_columnar: int = 0
    rows_fastavro: int = 0


class Decoder:
    """Decodes batches of messages. `stats` counts by stream which way they went."""

    def __init__(self, schemas: SchemaSource, zone: ReportingZone, future_guard: timedelta, topics: Mapping[Stream, str]) -> None:
        self._readings = Readings(schemas)
        self._zone = zone
        self._future_guard = future_guard
        self._topics = topics
        self.stats: Mapping[Stream, Stats] = {stream: Stats() for stream in Stream}

    def decode(self, batch: MessageBatch, now: datetime) -> EventBatch:
        """The events, tombstones and rejected messages of a batch; every message becomes one of these.

        Raises Unavailable while schemas can't be had (call again with the same batch), and Fatal if they are refused.
        """
        latest = micros(now + self._future_guard)
        streams = {stream: _Stream(stream, self._readings, self._zone, latest) for stream in batch.messages}
        for stream, messages in batch.messages.items():
            streams[stream].decode(messages)
        for stream, parts in streams.items():
            self.stats[stream].rows_columnar += parts.stats.rows_columnar
            self.stats[stream].rows_fastavro += parts.stats.rows_fastavro
        return EventBatch(
            messages=batch,
            events={stream: in_day_order(parts.events) for stream, parts in streams.items() if parts.events},
            tombstones={stream: pa.concat_batches(parts.tombstones) for stream, parts in streams.items() if parts.tombstones},
            rejected=[
                self._rejected(stream, batch.messages[stream], r) for stream, parts in streams.items() for r in sorted(parts.rejected)
            ],
        )

    def _rejected(self, stream: Stream, messages: Sequence[Message], rejection: "_Rejection") -> Rejected:
        message = messages[rejection.seq]
        kept = message if isinstance(message, KeptMessage) else None
        kind, timestamp = message.timestamp()
        partition, offset = message.partition(), message.offset()
        return Rejected(
            stream=stream,
            topic=message.topic() or self._topics[stream],
            partition=-1 if partition is None else partition,
            offset=-1 if offset is None else offset,
            stage=rejection.reason.stage,
            reason=rejection.reason,
            detail=rejection.detail,
            value=message.value(),
            key=message.key(),
            headers=headers_of([message])[0] or (),
            timestamp_ms=timestamp if kind else None,
            kept_id=kept.id if kept else None,
            topic_id=kept.topic_id if kept else None,
        )


@dataclass(frozen=True, slots=True, order=True)
class _Rejection:
    """A message to reject, by its index in the stream's messages."""

    seq: int
    reason: Reason
    detail: str


class _Some(NamedTuple):
    """Some messages of a stream that have a value, with their places in MessageBatch.messages[stream]."""

    messages: Sequence[Message]
    values: Sequence[bytes]
    sizes: Ints
    seq: Ints


class _Stream:
    """What the messages of one stream become."""

    def __init__(self, stream: Stream, readings: Readings, zone: ReportingZone, latest: int) -> None:
        self.events: list[pa.RecordBatch] = []
        self.tombstones: list[pa.RecordBatch] = []
        self.rejected: list[_Rejection] = []
        self.stats = Stats()
        self._stream, self._readings, self._zone, self._latest = stream, readings, zone, latest

    def decode(self, messages: Sequence[Message]) -> None:
        for first in range(0, len(messages), MAX_ROWS):
            some = messages[first : first + MAX_ROWS]
            values = [message.value() for message in some]
            filled = [value for value in values if value is not None]
            seq = np.arange(first, first + len(some))
            if len(filled) < len(some):
                nulls = [row for row, value in enumerate(values) if value is None]
                self._take_tombstones([(first + row, some[row]) for row in nulls])
                some = [message for message, value in zip(some, values, strict=True) if value is not None]
                seq = np.delete(seq, nulls)
            sizes = np.fromiter(map(len, filled), np.int64, len(filled))
            for part in _slices(sizes):
                self._decode_some(_Some(some[part], filled[part], sizes[part], seq[part]))

    def _reject(self, seq: int, reason: Reason, detail: str) -> None:
        self.rejected.append(_Rejection(int(seq), reason, detail))

    def _decode_some(self, some: _Some) -> None:
        frames = unframe(some.messages, some.values, some.sizes, columns.PADDING)
        for row, detail in frames.broken:
            self._reject(some.seq[row], Reason.BAD_FRAME, detail)
        read: list[tuple[Ints, pa.RecordBatch]] = []
        for bodies in frames.bodies:
            reading = self._readings.of(self._stream, bodies.ref)
            if isinstance(reading, NoSchema):
                for seq in some.seq[bodies.rows]:
                    self._reject(seq, reading.reason, f"schema {bodies.ref}: {reading.detail}")
            else:
                read += self._read(reading, frames.buffer, bodies, some.seq)
        if read:
            self._accept(some, *in_order(read))

    def _read(self, reading: Reading, buffer: Buffer, bodies: Bodies, seq: Ints) -> Iterator[tuple[Ints, pa.RecordBatch]]:
        """Messages of one writer schema as the reader's columns, with their rows."""
        read = reading.read(buffer, bodies.start, bodies.end)
        self.stats.rows_columnar += len(bodies.rows) - read.by_fastavro
        self.stats.rows_fastavro += read.by_fastavro
        for place, detail in read.broken:
            self._reject(seq[bodies.rows[place]], Reason.MALFORMED, detail)
        if len(read.places):
            yield bodies.rows[read.places], read.columns

    def _accept(self, some: _Some, rows: Ints, read: pa.RecordBatch) -> None:
        """What is within the limits becomes events, with the columns that follow from the others and where they came from."""
        n, seq = len(some.messages), some.seq[rows]
        partitions = np.fromiter([message.partition() for message in some.messages], np.int32, n)
        offsets = np.fromiter([message.offset() for message in some.messages], np.int64, n)
        events, broken = events_of(self._stream, read, Origins(seq, partitions[rows], offsets[rows]), self._zone, self._latest)
        for fault in broken:
            self._reject(seq[fault.row], fault.reason, fault.detail)
        if len(events):
            self.events.append(events)

    def _take_tombstones(self, nulls: Iterable[tuple[int, Message]]) -> None:
        taken: list[dict[str, Any]] = []
        for seq, message in nulls:
            named = _named_by(message, self._latest)
            if self._stream is Stream.TOUCHPOINTS:
                self._reject(seq, Reason.NULL_VALUE, "a touchpoint without a value")
            elif isinstance(named, str):
                self._reject(seq, Reason.BAD_TOMBSTONE, named)
            else:
                name, updated_at = named
                place = {"seq": seq, "partition": message.partition(), "offset": message.offset()}
                taken.append(place | {"id": name, "updated_at": updated_at})
        if taken:
            self.tombstones.append(pa.RecordBatch.from_pylist(taken, TOMBSTONES))


def _named_by(message: Message, latest: int) -> tuple[str, int] | str:
    """The id and updated_at (UTC micros) of a tombstone, or why it has none."""
    try:
        name = (message.key() or b"").decode()
    except UnicodeDecodeError as error:
        return f"the key of a null value: {error}"
    if not name:
        return "a null value without a key"
    kind, millis = message.timestamp()
    if kind == 0 or not EARLIEST <= millis * 1000 <= latest:
        return f"a null value whose message has the timestamp {millis if kind else 'none'} ms: none, before 1980 or beyond the future guard"
    return name, millis * 1000


def _slices(sizes: Ints) -> Iterator[slice]:
    """Slices of messages of at most MAX_BYTES together (or of one message)."""
    first = 0
    while first < len(sizes):
        fitting = int(np.searchsorted(np.cumsum(sizes[first:]), MAX_BYTES, side="right"))
        yield slice(first, first := first + max(fitting, 1))
