"""A self-check of the decoder on one writer schema: random records, written by fastavro, read in all ways that there are."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import fastavro
import numpy as np
import pyarrow as pa

from worker.decode import columns
from worker.decode.avro import MICROS, MILLIS, Array, Enum, Fixed, Map, Primitive, Record, Type, Union, children, parse, source_of
from worker.decode.cursor import Buffer
from worker.decode.framing import SchemaRef
from worker.decode.readings import READERS, Reading, Readings, reader_text
from worker.decode.walk import Malformed
from worker.doctor.findings import Finding, counted, ok, problem, skipped
from worker.events import Stream

RECORDS = 100
_SEED = 1  # the same records at each call: what was found once is found again
_MOST_VALUES = 1_000  # of one record; beyond, arrays and maps are empty
_MOST_BYTES = 10_000  # of a fixed
_TIMES = {MILLIS: 1 << 41, MICROS: 1 << 51}  # up to the year 2039
_TEXTS = "abc é€😀"

Read: TypeAlias = Mapping[str, Any] | None  # a record by the reader's names, times as UTC micros; None: it is rejected


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How many random records were read, how many of them are rejected and why the first is; where two ways of reading differ.

    `not_made`: why there was none.
    """

    records: int = 0
    rejected: int = 0
    reason: str = ""
    differences: tuple[str, ...] = ()
    not_made: str = ""


def self_check_finding(check: SelfCheck) -> Finding:
    """What a self-check says of the decoder, and of the schema."""
    if check.not_made:
        return skipped("self-check", check.not_made)
    if check.differences:
        remedy = "This is a bug of tidemark: report it with the schema. Until it is mended, do not trust what is read by it."
        return problem("self-check", f"{counted(len(check.differences), 'difference')}; {check.differences[0]}", remedy)
    rejected = f"; {check.rejected} of them would be rejected, the first for {check.reason}" if check.rejected else ""
    return ok("self-check", f"{check.records} random records are read the same in all ways{rejected}")


def self_check(text: str, stream: Stream) -> SelfCheck:
    """Random records of a writer schema that can be read for the stream: in columns, one by one, and as fastavro itself resolves them."""
    reading = Readings(_OneSchema(text)).of(stream, 1)
    assert isinstance(reading, Reading)
    try:
        written = fastavro.parse_schema(_without_logical_types(json.loads(text)))
        bodies = [_body(written, record) for record in _random_records(parse(text))]
    # fastavro is stricter about names and defaults than a decoder needs to be, and raises errors of many kinds.
    except Exception as error:
        return SelfCheck(not_made=f"no random records can be written: {type(error).__name__}: {error}")
    one_by_one, reasons = _one_by_one(reading, bodies)
    ways = {"in columns": _in_columns(reading, bodies), "by fastavro alone": list(_by_fastavro(bodies, written, parse(text), stream))}
    differences = [difference for way, records in ways.items() for difference in _differences(one_by_one, way, records)]
    return SelfCheck(len(bodies), len(reasons), reasons[0] if reasons else "", tuple(differences))


class _OneSchema:
    """A source of one schema, under any ref."""

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self, _ref: SchemaRef) -> str:
        return self._text


def _body(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def _one_by_one(reading: Reading, bodies: Sequence[bytes]) -> tuple[list[Read], list[str]]:
    records: list[Read] = []
    reasons = []
    for body in bodies:
        try:
            records.append(reading.rereader.read(body))
        except Malformed as error:
            records.append(None)
            reasons.append(str(error))
    return records, reasons


def _in_columns(reading: Reading, bodies: Sequence[bytes]) -> list[Read]:
    if reading.plan is None:
        return [None] * len(bodies)
    end = np.cumsum([len(body) for body in bodies])
    batch, ok = columns.read(reading.plan, Buffer(b"".join((*bodies, columns.PADDING))), end - [len(body) for body in bodies], end)
    whole = pa.Table.from_batches([batch.filter(pa.array(ok))])
    numbers = pa.schema([pa.field(f.name, pa.int64() if pa.types.is_timestamp(f.type) else f.type) for f in whole.schema])
    rows = iter(whole.cast(numbers).to_pylist())
    return [next(rows) if is_read else None for is_read in ok]


def _by_fastavro(bodies: Sequence[bytes], written: Any, writer: Type, stream: Stream) -> Iterator[Read]:
    """What fastavro can resolve by Avro's rules; enums as text, for one, it can't. It is not told of logical types."""
    reader = fastavro.parse_schema(_without_logical_types(json.loads(reader_text(stream))))
    factors = dict(_factors(writer, READERS[stream]))
    for body in bodies:
        try:
            record: Any = fastavro.schemaless_reader(io.BytesIO(body), written, reader)
        # What it can't resolve it tells by errors of many kinds; there is then nothing to compare with.
        except Exception:
            yield None
        else:
            yield {name: value * factors[name] if name in factors and value is not None else value for name, value in record.items()}


def _factors(writer: Type, reader: Record) -> Iterator[tuple[str, int]]:
    for record in (writer, *children(writer)):
        if isinstance(record, Record):
            for field in reader.fields:
                source = source_of(field, record)
                kinds = (source.type, *children(source.type)) if source and _is_time(field.type) else ()
                if Primitive("long", MILLIS) in kinds:
                    yield field.name, 1000


def _is_time(kind: Type) -> bool:
    return Primitive("long", MICROS) in (kind, *children(kind))


def _differences(one_by_one: Sequence[Read], way: str, records: Sequence[Read]) -> Iterator[str]:
    for place, (expected, record) in enumerate(zip(one_by_one, records, strict=True)):
        if record is not None and record != expected:
            fields = [name for name in record if expected is None or record[name] != expected[name]]
            yield f"random record {place}, {', '.join(fields)}: read {way} it is not what it is read alone"


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return [_without_logical_types(item) for item in schema] if isinstance(schema, list) else schema


def _random_records(kind: Type) -> Iterator[Any]:
    random = Random(_SEED)
    for _ in range(RECORDS):
        yield _RandomValues(random).of(kind)


class _RandomValues:
    """Random values of types, as fastavro writes them; not more than there is room for in one record."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._left = _MOST_VALUES

    def of(self, kind: Type) -> Any:
        random = self._random
        self._left -= 1
        match kind:
            case Record(fields=fields):
                return {field.name: self.of(field.type) for field in fields}
            case Array(items=items):
                return [self.of(items) for _ in range(self._size())]
            case Map(values=values):
                return {str(place): self.of(values) for place in range(self._size())}
            case Union(branches=branches):
                branch = random.choice(branches)
                return _branch_name(branch), self.of(branch)
            case Enum(symbols=symbols):
                return random.choice(symbols)
            case Fixed(size=size):
                if size > _MOST_BYTES:
                    raise ValueError(f"a fixed of {size:,} bytes")
                return random.randbytes(size)
        return self._primitive(kind)

    def _size(self) -> int:
        return self._random.choice([0, 1, 1, 2, 3]) if self._left > 0 else 0

    def _primitive(self, kind: Primitive) -> Any:
        random = self._random
        match kind.name:
            case "null":
                return None
            case "boolean":
                return random.random() < 0.5
            case "int" | "long":
                least, most = (-(1 << 31), (1 << 31) - 1) if kind.name == "int" else (-(1 << 63), (1 << 63) - 1)
                most = _TIMES.get(kind.logical, most)
                return random.choice([random.randint(least if kind.logical not in _TIMES else 0, most), random.randrange(200), most])
            case "float" | "double":
                return random.choice([0.0, -1.5, 1e6])
        text = "".join(random.choices(_TEXTS, k=random.choice([0, 1, 5, 20, 70])))
        return text if kind.name == "string" else text.encode()


def _branch_name(kind: Type) -> str:
    match kind:
        case Array():
            return "array"
        case Map():
            return "map"
        case Record(name=name) | Enum(name=name) | Fixed(name=name) | Primitive(name=name):
            return name
    raise AssertionError("a union is never directly within a union")
