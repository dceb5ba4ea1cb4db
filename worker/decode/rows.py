"""Rows of files become events by the same checks as messages: Arrow batches (Parquet, a mapping), Avro blocks, rows kept as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.decode import avro, columns
from worker.decode.accept import Origins, events_of, in_day_order
from worker.decode.calendar import ReportingZone, micros
from worker.decode.conform import Field, conformed, fields_of, mismatches
from worker.decode.cursor import Buffer, Ints, SmallInts
from worker.decode.decoder import MAX_BYTES, MAX_ROWS
from worker.decode.plain import arrow_row, from_json, record_of, to_json
from worker.decode.plan import NotColumnar, RecordPlan, Unresolvable, resolve
from worker.decode.readings import READER_ARROW, READERS, Read, Reading
from worker.decode.reasons import Reason
from worker.decode.validate import Fault
from worker.decode.walk import Malformed
from worker.events import EventBatch, KeptMessage, Message, MessageBatch, Rejected, Stream
from worker.source.archive import Block
from worker.source.archive.container import damaged


class Unreadable(Exception):
    """A file can't hold rows of its stream: a column is missing or of an impossible type, or its schema is refused. Says which."""


class OriginColumns(NamedTuple):
    """Names of the columns that tell where in the log a row was, if a file has them: Connect's InsertField writes such."""

    partition: str = "kafka_partition"
    offset: str = "kafka_offset"
    topic: str = "kafka_topic"


class Rows(Protocol):
    """Some rows of a file, in its order."""

    def __len__(self) -> int: ...

    def read(self) -> Read:
        """The rows as the columns of a RowReader. Raises ArchiveError where they turn out to be damaged."""
        ...

    def as_json(self, row: int) -> bytes:
        """One row as JSON, also where it can't be read."""
        ...


class RowReader:
    """Reads rows of one stream from files: the columns of the stream's reader schema, and those of the origin."""

    def __init__(self, stream: Stream, origin: OriginColumns) -> None:
        own, kinds = READERS[stream], {origin.partition: "long", origin.offset: "long", origin.topic: "string"}
        added = [avro.Field(name, avro.Union((avro.NULL, avro.Primitive(kind))), default=None) for name, kind in kinds.items()]
        self._reader = avro.Record(own.name, (*own.fields, *added), own.aliases)
        self._fields = fields_of(self._reader)
        self._stream, self._origin = stream, origin

    @property
    def names(self) -> frozenset[str]:
        """The columns that are read; others need not be."""
        return frozenset(field.column.name for field in self._fields)

    def check(self, schema: pa.Schema) -> None:
        """Raises Unreadable, with all faults at once, where batches of this schema can't be rows of the stream."""
        if faults := list(mismatches(self._fields, schema)):
            raise Unreadable("; ".join(faults))

    def arrow_rows(self, batch: pa.RecordBatch) -> Rows:
        """The rows of a batch whose schema was checked."""
        return _ArrowRows(self._fields, batch)

    def avro_file(self, schema: str, name: str) -> "AvroFile":
        """For the blocks of a file, by its writer schema. Raises Unreadable."""
        try:
            writer = avro.parse(schema)
            _refuse_empty_items(writer)
            return AvroFile(Reading(writer, self._reader, _plan(writer, self._reader)), name)
        except (avro.SchemaRefused, Unresolvable) as error:
            raise Unreadable(str(error)) from None

    def origins(self, read: pa.RecordBatch, topic: str) -> tuple[SmallInts, Ints] | None:
        """Partition and offset of each row read, -1 where the row doesn't tell, or tells of another topic; None: no row tells."""
        partition, offset, named = (read[name] for name in self._origin)
        if partition.null_count == len(read):
            return None
        is_told = pc.and_(pc.greater_equal(offset, 0), pc.and_(pc.greater_equal(partition, 0), pc.less(partition, 1 << 31)))
        is_told = pc.and_(is_told, pc.equal(named, topic).fill_null(True)).fill_null(False)
        partitions, offsets = (pc.if_else(is_told, told, pa.scalar(-1, pa.int64())).to_numpy() for told in (partition, offset))
        return partitions.astype(np.int32), offsets

    def events(self, read: pa.RecordBatch, origins: Origins, zone: ReportingZone, latest: int) -> tuple[pa.RecordBatch, Sequence[Fault]]:
        """See events_of."""
        return events_of(self._stream, read.select(READER_ARROW[self._stream].names), origins, zone, latest)


def _plan(writer: avro.Type, reader: avro.Record) -> RecordPlan | None:
    if not isinstance(writer, avro.Record):
        raise Unresolvable("its schema is not a record")
    try:
        return resolve(writer, reader)
    except NotColumnar:
        return None


def _refuse_empty_items(kind: avro.Type) -> None:
    """An array's items bound its count by their bytes; fastavro would skip a billion items of none, one by one."""
    if isinstance(kind, avro.Array) and avro.takes_no_bytes(kind.items):
        raise avro.SchemaRefused("an array of items that take no bytes")
    for inner in avro.children(kind):
        _refuse_empty_items(inner)


class _ArrowRows:
    def __init__(self, fields: Sequence[Field], batch: pa.RecordBatch) -> None:
        self._fields, self._batch = fields, batch

    def __len__(self) -> int:
        return len(self._batch)

    def read(self) -> Read:
        found, ok = conformed(self._fields, self._batch)
        if ok.all():
            return Read(np.arange(len(ok)), found, ())
        broken = [(row, self._fault(row)) for row in np.flatnonzero(~ok).tolist()]
        return Read(np.flatnonzero(ok), found.filter(pa.array(ok)), broken)

    def as_json(self, row: int) -> bytes:
        return to_json(arrow_row(self._fields, self._batch, row))

    def _fault(self, row: int) -> str:
        try:
            record_of(self._fields, arrow_row(self._fields, self._batch, row))
        except Malformed as error:
            return str(error)
        raise AssertionError(f"a row that conforms alone, but not among others: {self.as_json(row)!r}")


class AvroFile:
    """Reads the blocks of one Avro file; `name` is what errors call it."""

    def __init__(self, reading: Reading, name: str) -> None:
        self._reading, self._name = reading, name

    def pieces(self, blocks: Iterable[Block], first_row: int, max_rows: int) -> Iterator[tuple[int, Rows]]:
        """The rows from `first_row` on, at most `max_rows` in a piece, each with the number of its first row. Raises ArchiveError.

        Small blocks are put together: decoding in columns costs as much for a few rows as for some thousands.
        """
        max_rows = min(max_rows, MAX_ROWS)
        held: list[Block] = []
        rows = size = 0
        for block in blocks:
            if held and (rows + block.rows > max_rows or size + len(block.data) > MAX_BYTES):
                yield from self._pieces(held, first_row, max_rows)
                held, rows, size = [], 0, 0
            held.append(block)
            rows, size = rows + block.rows, size + len(block.data)
        if held:
            yield from self._pieces(held, first_row, max_rows)

    def _pieces(self, blocks: Sequence[Block], first_row: int, max_rows: int) -> Iterator[tuple[int, Rows]]:
        sizes = [len(block.data) for block in blocks]
        starts = np.cumsum([0, *sizes[:-1]])
        bounds = np.concatenate([self._bounds(block) + start for block, start in zip(blocks, starts, strict=True)])
        start, end = bounds[:, 0], bounds[:, 1]
        buffer = Buffer(b"".join((*(block.data for block in blocks), columns.PADDING)))
        row = blocks[0].first_row
        for first in range(max(0, first_row - row), len(bounds), max_rows):
            some = slice(first, first + max_rows)
            yield row + first, _AvroRows(self._reading, buffer, start[some], end[some], self._name, row + first)

    def _bounds(self, block: Block) -> Ints:
        """Where each record of the block begins and ends, shape (rows, 2)."""
        bounds = np.zeros((block.rows, 2), np.int64) if block.rows <= len(block.data) else np.zeros((0, 2), np.int64)
        ends: list[int] = []
        try:
            ends.extend(self._reading.rereader.ends(block.data, len(bounds)))
        # fastavro raises errors of many kinds for bytes that are no record.
        except Exception as error:
            what = f"a record in the block at byte {block.offset:,} can't be read: {error!r}"
            raise damaged(self._name, what, block.first_row + len(ends)) from None
        if len(ends) < block.rows or (ends or [0])[-1] != len(block.data):
            what = f"the block at byte {block.offset:,} has {len(block.data):,} bytes, which are not {block.rows:,} records"
            raise damaged(self._name, what, block.first_row)
        bounds[1:, 0] = ends[:-1]
        bounds[:, 1] = ends
        return bounds


class _AvroRows:
    def __init__(self, reading: Reading, buffer: Buffer, start: Ints, end: Ints, name: str, first_row: int) -> None:
        self._reading, self._buffer, self._start, self._end = reading, buffer, start, end
        self._name, self._first_row = name, first_row

    def __len__(self) -> int:
        return len(self._start)

    def read(self) -> Read:
        read = self._reading.read(self._buffer, self._start, self._end)
        for row, _ in read.broken:
            try:
                self._reading.rereader.check(self._body(row))
            except Malformed as error:
                raise damaged(self._name, str(error), self._first_row + row) from None
        return read

    def as_json(self, row: int) -> bytes:
        body = self._body(row)
        try:
            return to_json(self._reading.rereader.read(body))
        except Malformed:
            return to_json(self._reading.rereader.shown(body))

    def _body(self, row: int) -> bytes:
        return self._buffer.raw[self._start[row] : self._end[row]]


def rejected(stream: Stream, message: Message, reason: Reason, detail: str) -> Rejected:
    """A row that could not become an event; `message` is a FileRow, or a kept one."""
    partition, offset = message.partition(), message.offset()
    kept = message if isinstance(message, KeptMessage) else None
    return Rejected(
        stream=stream,
        topic=message.topic() or "",
        partition=-1 if partition is None else partition,
        offset=-1 if offset is None else offset,
        stage=reason.stage,
        reason=reason,
        detail=detail,
        value=message.value(),
        file=getattr(message, "file", None),
        row=getattr(message, "row", None),
        kept_id=kept.id if kept else None,
        topic_id=kept.topic_id if kept else None,
    )


def decode_json_rows(batch: MessageBatch, zone: ReportingZone, future_guard: timedelta, now: datetime) -> EventBatch:
    """Like Decoder.decode, for messages whose value is a row as JSON: rows of files that were rejected or have expired."""
    latest = micros(now + future_guard)
    events, refused = {}, []
    for stream, messages in batch.messages.items():
        found, faults = _json_events(stream, messages, zone, latest)
        refused += [rejected(stream, messages[seq], reason, detail) for seq, (reason, detail) in sorted(faults.items())]
        if len(found):
            events[stream] = in_day_order([found])
    return EventBatch(messages=batch, events=events, tombstones={}, rejected=refused)


def _json_events(
    stream: Stream, messages: Sequence[Message], zone: ReportingZone, latest: int
) -> tuple[pa.RecordBatch, dict[int, tuple[Reason, str]]]:
    records, seqs, faults = [], [], {}
    for seq, message in enumerate(messages):
        try:
            records.append(record_of(_fields(stream), from_json(message.value())))
            seqs.append(seq)
        except Malformed as error:
            faults[seq] = (Reason.MALFORMED, str(error))
    places = np.array([(messages[seq].partition(), messages[seq].offset()) for seq in seqs], np.int64).reshape(-1, 2)
    origins = Origins(np.array(seqs, np.int64), places[:, 0].astype(np.int32), places[:, 1])
    found, broken = events_of(stream, pa.RecordBatch.from_pylist(records, READER_ARROW[stream]), origins, zone, latest)
    return found, faults | {seqs[fault.row]: (fault.reason, fault.detail) for fault in broken}


@cache
def _fields(stream: Stream) -> tuple[Field, ...]:
    return fields_of(READERS[stream])
