"""Writer schemas, compiled once each: how the messages of one are read for a stream, or why they can't be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from worker.decode import avro, columns
from worker.decode.cursor import Buffer, Ints
from worker.decode.framing import SchemaRef
from worker.decode.plan import NotColumnar, RecordPlan, Unresolvable, arrow_schema, columns_of, resolve
from worker.decode.reasons import Reason
from worker.decode.reread import Rereader
from worker.decode.schemas import NoSchema, SchemaSource
from worker.decode.walk import Malformed
from worker.events import Stream
from worker.resources import schema_path

MAX_KEPT = 1_000  # compiled schemas; a topic can name any that the registry has

_FILES = {Stream.ORDERS: "order", Stream.TOUCHPOINTS: "touchpoint", Stream.CUSTOMERS: "customer", Stream.PRODUCTS: "product"}


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of some records: those that could be, in order, as the reader's columns; of each of the others, the exact error.

    `places`: which of the records the columns hold. `by_fastavro`: how many were read one by one.
    """

    places: Ints
    columns: pa.RecordBatch
    broken: Sequence[tuple[int, str]]
    by_fastavro: int = 0


class Reading:
    """How records of one writer schema are read. Without a plan each of them goes through fastavro."""

    def __init__(self, writer: avro.Type, reader: avro.Record, plan: RecordPlan | None) -> None:
        self._writer, self._reader = writer, reader
        self.plan = plan

    @cached_property
    def rereader(self) -> Rereader:
        """For single records; few schemas ever need it."""
        return Rereader(self._writer, self._reader)

    def read(self, buffer: Buffer, start: Ints, end: Ints) -> Read:
        """The records from start[i] to end[i]: all at once, then one by one what that can't do.

        The buffer goes on for len(columns.PADDING) bytes after the last one.
        """
        left, parts = np.arange(len(start)), []
        if self.plan is not None:
            read, ok = columns.read(self.plan, buffer, start, end)
            if ok.all():
                return Read(left, read, ())
            left = np.flatnonzero(~ok)
            parts.append((np.flatnonzero(ok), read.filter(pa.array(ok))))
        records, places, broken = [], [], []
        for place in left.tolist():
            try:
                records.append(self.rereader.read(buffer.raw[start[place] : end[place]]))
                places.append(place)
            except Malformed as error:
                broken.append((place, str(error)))
        if records or not parts:
            schema = arrow_schema(columns_of(self._reader))
            parts.append((np.array(places, np.int64), pa.RecordBatch.from_pylist(records, schema)))
        return Read(*in_order(parts), broken, len(left))


def in_order(parts: Sequence[tuple[Ints, pa.RecordBatch]]) -> tuple[Ints, pa.RecordBatch]:
    """Parts with their places as one, its places ascending."""
    if len(parts) == 1:
        return parts[0]
    places = np.concatenate([places for places, _ in parts])
    order = np.argsort(places)
    return places[order], pa.concat_batches([read for _, read in parts]).take(pa.array(order))


class Readings:
    """Readings by stream and ref, from a source of schemas."""

    def __init__(self, schemas: SchemaSource) -> None:
        self._schemas = schemas
        self._kept: dict[tuple[Stream, SchemaRef], Reading | NoSchema] = {}

    def of(self, stream: Stream, ref: SchemaRef) -> Reading | NoSchema:
        """Raises what SchemaSource.text raises."""
        reading = self._kept.get((stream, ref))
        if reading is None:
            text = self._schemas.text(ref)
            if isinstance(text, NoSchema):
                return text  # not kept: it may be registered later
            reading = _compiled(text, READERS[stream])
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[stream, ref] = reading
        return reading


def _compiled(text: str, reader: avro.Record) -> Reading | NoSchema:
    try:
        writer = avro.parse(text)
        plan = resolve(writer, reader)
    except avro.SchemaRefused as error:
        return NoSchema(Reason.REFUSED_SCHEMA, str(error))
    except Unresolvable as error:
        return NoSchema(Reason.WRONG_SCHEMA, str(error))
    except NotColumnar:
        return Reading(writer, reader, None)
    return Reading(writer, reader, plan)


def reader_text(stream: Stream) -> str:
    """The reader's schema of a stream, as JSON."""
    return schema_path(_FILES[stream]).read_text(encoding="utf-8")


def _reader(stream: Stream) -> avro.Record:
    schema = avro.parse(reader_text(stream))
    assert isinstance(schema, avro.Record)
    return schema


READERS: Mapping[Stream, avro.Record] = {stream: _reader(stream) for stream in Stream}
READER_ARROW: Mapping[Stream, pa.Schema] = {stream: arrow_schema(columns_of(reader)) for stream, reader in READERS.items()}
