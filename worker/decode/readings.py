"""Writer schemas, compiled once each: how the messages of one are read for a stream, or why they can't be."""

from collections.abc import Mapping
from functools import cached_property

import pyarrow as pa

from worker.decode import avro
from worker.decode.framing import SchemaRef
from worker.decode.plan import NotColumnar, RecordPlan, Unresolvable, arrow_schema, columns_of, resolve
from worker.decode.reasons import Reason
from worker.decode.reread import Rereader
from worker.decode.schemas import NoSchema, SchemaSource
from worker.events import Stream
from worker.resources import schema_path

MAX_KEPT = 1_000  # compiled schemas; a topic can name any that the registry has

_FILES = {Stream.ORDERS: "order", Stream.TOUCHPOINTS: "touchpoint", Stream.CUSTOMERS: "customer", Stream.PRODUCTS: "product"}


class Reading:
    """How messages of one writer schema are read. Without a plan each of them goes through fastavro."""

    def __init__(self, writer: avro.Type, reader: avro.Record, plan: RecordPlan | None) -> None:
        self._writer, self._reader = writer, reader
        self.plan = plan

    @cached_property
    def rereader(self) -> Rereader:
        """For single messages; few schemas ever need it."""
        return Rereader(self._writer, self._reader)


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
