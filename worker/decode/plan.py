"""A writer schema resolved to a reader schema, once: which fields are read into which columns, and which are skipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from worker.decode.avro import (
    MICROS,
    NO_DEFAULT,
    NULL,
    Array,
    Enum,
    Field,
    Primitive,
    Record,
    Type,
    Union,
    describe,
    matches,
    source_of,
    unqualified,
)


class Unresolvable(Exception):
    """The writer schema can't be read as the reader's: a record of another stream, or an incompatible version. Says which field."""


class NotColumnar(Exception):
    """The schemas resolve, but the columnar decoder doesn't do this shape. Says which."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the reader. A default of NO_DEFAULT: the writer must have the field."""

    name: str
    arrow: pa.DataType
    nullable: bool
    default: Any = NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Skip:
    """A field that the reader doesn't have."""

    type: Type


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text or number. `branches` are the writer's types by union index (None: not readable), a single one where it has no union."""

    column: Column
    branches: tuple[Type | None, ...]
    is_union: bool


@dataclass(frozen=True, slots=True)
class List:
    """An array of records. `branch`: its index in the writer's union (the others are not readable), None where it has none."""

    column: Column
    branch: int | None
    item: "RecordPlan"


Step: TypeAlias = Skip | Scalar | List


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """What to do with each of the writer's fields, in its order; `absent` are the reader's columns that the writer doesn't have."""

    steps: tuple[Step, ...]
    absent: tuple[Column, ...]
    columns: tuple[Column, ...]  # all of the reader's, in its order


def columns_of(reader: Record) -> tuple[Column, ...]:
    """The reader's fields as columns. They are texts, whole numbers, times, and arrays of records of these; unions are with null only."""
    return tuple(_column(field) for field in reader.fields)


def arrow_schema(reader: Record) -> pa.Schema:
    """The Arrow schema of records of the reader."""
    return pa.schema([pa.field(column.name, column.arrow, column.nullable) for column in columns_of(reader)])


def resolve(writer: Type, reader: Record) -> RecordPlan:
    """The plan by which records of `writer` are read as `reader`, by Avro's rules of resolution; beyond them, an enum is read as text.

    Records match by their unqualified names. Raises Unresolvable and NotColumnar.
    """
    if isinstance(writer, Union):
        if not any(isinstance(branch, Record) and matches(branch, reader) for branch in writer.branches):
            raise Unresolvable(f"none of the writer's union is a record {unqualified(reader.name)}")
        raise NotColumnar("a union of records")
    if not isinstance(writer, Record) or not matches(writer, reader):
        raise Unresolvable(f"the writer's schema is {describe(writer)}, not a record {unqualified(reader.name)}")
    return _record(writer, reader)


def _record(writer: Record, reader: Record) -> RecordPlan:
    columns = columns_of(reader)
    sources = [source_of(field, writer) for field in reader.fields]
    missing = [column.name for column, source in zip(columns, sources, strict=True) if source is None and column.default is NO_DEFAULT]
    if missing:
        raise Unresolvable(f"the writer's {unqualified(writer.name)} has no {', '.join(missing)}, and the reader no default")
    wanted = {source.name: (field.type, column) for source, field, column in zip(sources, reader.fields, columns, strict=True) if source}
    steps = tuple(_step(field.type, *wanted[field.name]) if field.name in wanted else Skip(field.type) for field in writer.fields)
    absent = tuple(column for column, source in zip(columns, sources, strict=True) if source is None)
    return RecordPlan(steps, absent, columns)


def _step(writer: Type, reader: Type, column: Column) -> Step:
    is_union = isinstance(writer, Union)
    branches: Sequence[Type] = writer.branches if isinstance(writer, Union) else (writer,)
    if isinstance(reader, Array):
        return _list(branches, reader, column, is_union)
    readable = tuple(branch if _is_readable(branch, column) else None for branch in branches)
    if not any(readable):
        raise Unresolvable(f"the writer's {column.name} is {describe(writer)}, which can't be read as {column.arrow}")
    return Scalar(column, readable, is_union)


def _list(branches: Sequence[Type], reader: Array, column: Column, is_union: bool) -> List:
    assert isinstance(reader.items, Record)
    for index, branch in enumerate(branches):
        if isinstance(branch, Array):
            if isinstance(branch.items, Union):
                raise NotColumnar(f"a union of records in {column.name}")
            if not isinstance(branch.items, Record) or not matches(branch.items, reader.items):
                break
            return List(column, index if is_union else None, _record(branch.items, reader.items))
    raise Unresolvable(f"the writer's {column.name} is not an array of {unqualified(reader.items.name)}")


def _is_readable(writer: Type, column: Column) -> bool:
    if isinstance(writer, Enum):
        return pa.types.is_string(column.arrow)
    if not isinstance(writer, Primitive):
        return False
    if writer.name == "null":
        return column.nullable
    return writer.name in _WRITERS_OF[column.arrow]


_TEXT, _INT, _LONG, _MICROS = pa.string(), pa.int32(), pa.int64(), pa.timestamp("us")
_WRITERS_OF = {_TEXT: ("string", "bytes"), _INT: ("int",), _LONG: ("int", "long"), _MICROS: ("int", "long")}


def _column(field: Field) -> Column:
    kind, nullable = field.type, False
    if isinstance(kind, Union):
        inner = [branch for branch in kind.branches if branch != NULL]
        assert len(inner) == 1 < len(kind.branches), f"{field.name}: a reader's union is of null and one type"
        kind, nullable = inner[0], True
    match kind:
        case Primitive(name="string"):
            arrow: pa.DataType = _TEXT
        case Primitive(name="int"):
            arrow = _INT
        case Primitive(name="long", logical=logical) if logical == MICROS:
            arrow = _MICROS
        case Primitive(name="long"):
            arrow = _LONG
        case Array(items=Record() as item) if not nullable and field.default is NO_DEFAULT:
            arrow = pa.list_(pa.struct([pa.field(inner.name, inner.arrow, inner.nullable) for inner in columns_of(item)]))
        case _:
            raise AssertionError(f"{field.name}: a reader has no fields of this type")
    return Column(field.name, arrow, nullable, field.default)
