"""Random archives of a simulated log: Parquet and Avro, with and without offsets, and what each of their rows is."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from tests.support.archives import arrow_schema, sink_path, write_avro, write_parquet, written_record
from tests.support.messages import SCHEMA_ID_HEADER, WRITER_SCHEMAS, Produced
from tests.support.reference.decoding import FIELDS

_KNOWN = {stream: {word.split()[0] for word in fields.split(",")} | {"items"} for stream, fields in FIELDS.items()}
_ORIGIN = {"kafka_partition": ["null", "int"], "kafka_offset": ["null", "long"], "kafka_topic": ["null", "string"]}
_ORIGIN_COLUMNS = [pa.field("kafka_partition", pa.int32()), pa.field("kafka_offset", pa.int64()), pa.field("kafka_topic", pa.string())]

_Written: TypeAlias = tuple[Produced, dict[str, Any]]  # a message, and its record as it was written


class Reading(NamedTuple):
    """A message that was read. From a file it has the partition and offset that the file proves, -1 if none, and its row there."""

    message: Produced
    file: str | None = None
    row: int | None = None

    @property
    def origin(self) -> tuple[str, int, int, str | None, int | None]:
        """What tells it from all others."""
        return self.message.topic(), self.message.partition(), self.message.offset(), self.file, self.row


class RandomArchive:
    """Files of some messages below a directory. `has_offsets`: they tell these, though not of every row. `topics` are by stream."""

    def __init__(
        self, random: Random, directory: Path, messages: Sequence[Produced], topics: Mapping[str, str], *, has_offsets: bool
    ) -> None:
        self._random = random
        self._directory = directory
        self._topics = topics
        self._has_offsets = has_offsets
        self.rows: dict[str, list[Reading]] = {}  # by file, as a job names it
        for stream in sorted({message.stream for message in messages}):
            of_stream = [message for message in messages if message.stream == stream]
            partition = random.choice(of_stream).partition_number if has_offsets else None
            for is_sink in (False, True):
                of_kind = [message for message in of_stream if (message.partition_number == partition) is is_sink]
                for writer, written in _by_writer(of_kind).items():
                    self._write(writer, written, is_sink)

    def _write(self, writer: int | str, written: Sequence[_Written], is_sink: bool) -> None:
        """Offsets stand in columns, or in the name as a sink writes it, which proves them where none is missing."""
        first, number = written[0][0], len(self.rows)
        ending = self._random.choice((".parquet", ".avro"))
        path = self._directory / f"{first.stream}-{number}{ending}"
        told = [self._has_offsets and not is_sink and self._random.random() < 0.9 for _ in written]
        proven = told
        if is_sink:
            last = written[-1][0].offset_number
            path = sink_path(
                self._directory / str(number), self._topics[first.stream], first.partition_number, first.offset_number, last, ending
            )
            proven = [last - first.offset_number + 1 == len(written)] * len(written)
        records = [record | self._origin(message, is_told) for (message, record), is_told in zip(written, told, strict=True)]
        if ending == ".avro":
            write_avro(path, records, _with_origin(WRITER_SCHEMAS[writer]), rows_a_block=self._random.choice((1, 7, 100)))
        else:
            known = [{name: value for name, value in record.items() if name in _KNOWN[first.stream] | _ORIGIN.keys()} for record in records]
            schema = pa.schema([*arrow_schema(first.stream), *_ORIGIN_COLUMNS])
            write_parquet(path, known, schema, row_group_size=self._random.choice((5, 100)))
        self.rows[str(path)] = [
            Reading(message if is_proven else _without_offset(message), str(path), row)
            for row, ((message, _), is_proven) in enumerate(zip(written, proven, strict=True))
        ]

    def _origin(self, message: Produced, is_told: bool) -> dict[str, Any]:
        values = (message.partition(), message.offset(), self._topics[message.stream]) if is_told else (None, None, None)
        return dict(zip(_ORIGIN, values, strict=True))


def _by_writer(messages: Sequence[Produced]) -> dict[int | str, list[_Written]]:
    """The messages that a file can hold, and would be of the same outcome; an Avro file has one writer."""
    found: defaultdict[int | str, list[_Written]] = defaultdict(list)
    for message in messages:
        if any(name == SCHEMA_ID_HEADER for name, _ in message.header_list):
            continue
        if written := written_record(message):
            found[written[0]].append((message, dict(written[1])))
    return found


def _without_offset(message: Produced) -> Produced:
    return replace(message, partition_number=-1, offset_number=-1)


def _with_origin(schema: dict[str, Any]) -> dict[str, Any]:
    """As Connect's InsertField leaves it."""
    return schema | {"fields": [*schema["fields"], *({"name": name, "type": kind, "default": None} for name, kind in _ORIGIN.items())]}
