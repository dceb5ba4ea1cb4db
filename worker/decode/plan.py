"""A writer schema resolved to a reader schema, once: which fields are read into which columns, and which are skipped."""

from collections.abc import Iterable, Iterator, Sequence
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
    is_text: bool = False
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """A field that the reader doesn't have."""

    type: Type


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text or number. `readable`: those of the writer's types that can be read, by their index in its union (0 where it has none).

    `alone`: in a union of two with null, the other one.
    """

    column: Column
    readable: tuple[tuple[int, Type], ...]
    is_union: bool
    alone: tuple[int, Type] | None


@dataclass(frozen=True, slots=True)
class List:
    """An array of records. `branch`: its index in the writer's union (the others are not readable), None where it has none."""

    column: Column
    branch: int | None
    item: "RecordPlan"


Step: TypeAlias = Skip | Scalar | List


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """What to do with each of the writer's fields, in its order.

    `columns` are the reader's, in its order, `absent` those that the writer doesn't have. `constants` are the texts that can come up
    without standing in a message: symbols of enums, and defaults.
    """

    steps: tuple[Step, ...]
    absent: tuple[Column, ...]
    columns: tuple[Column, ...]
    constants: tuple[str, ...]


def columns_of(reader: Record) -> tuple[Column, ...]:
    """The reader's fields as columns. They are texts, whole numbers, times, and arrays of records of these; unions are with null only."""
    return tuple(_column(field) for field in reader.fields)


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of columns."""
    return pa.schema([pa.field(column.name, column.arrow, column.nullable) for column in columns])


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
    absent = tuple(column for column, source in zip(columns, sources, strict=True) if source is None)
    missing = [column.name for column in absent if column.default is NO_DEFAULT]
    if missing:
        raise Unresolvable(f"the writer's {unqualified(writer.name)} has no {', '.join(missing)}, and the reader no default")
    wanted = {source.name: (field.type, column) for source, field, column in zip(sources, reader.fields, columns, strict=True) if source}
    steps = tuple(_step(field.type, *wanted[field.name]) if field.name in wanted else Skip(field.type) for field in writer.fields)
    return RecordPlan(steps, absent, columns, tuple(_constants(steps, absent)))


def _constants(steps: Sequence[Step], absent: Sequence[Column]) -> Iterator[str]:
    yield from (column.default for column in absent if isinstance(column.default, str))
    for step in steps:
        if isinstance(step, List):
            yield from step.item.constants
        elif isinstance(step, Scalar):
            for _, writer in step.readable:
                yield from writer.symbols if isinstance(writer, Enum) else ()


def _step(writer: Type, reader: Type, column: Column) -> Step:
    is_union = isinstance(writer, Union)
    branches: Sequence[Type] = writer.branches if isinstance(writer, Union) else (writer,)
    if isinstance(reader, Array):
        return _list(branches, reader, column, is_union)
    readable = tuple((place, branch) for place, branch in enumerate(branches) if _is_readable(branch, column))
    if not readable:
        raise Unresolvable(f"the writer's {column.name} is {describe(writer)}, which can't be read as {column.arrow}")
    others = [(place, branch) for place, branch in readable if branch != NULL]
    return Scalar(column, readable, is_union, others[0] if len(branches) == 2 and NULL in branches and others else None)


def _list(branches: Sequence[Type], reader: Array, column: Column, is_union: bool) -> List:
    assert isinstance(reader.items, Record)
    for place, branch in enumerate(branches):
        if isinstance(branch, Array) and isinstance(branch.items, Union):
            raise NotColumnar(f"a union of records in {column.name}")
        if isinstance(branch, Array) and isinstance(branch.items, Record) and matches(branch.items, reader.items):
            return List(column, place if is_union else None, _record(branch.items, reader.items))
    raise Unresolvable(f"the writer's {column.name} is not an array of {unqualified(reader.items.name)}")


def _is_readable(writer: Type, column: Column) -> bool:
    match writer:
        case Enum():
            return column.is_text
        case Primitive(name="null"):
            return column.nullable
        case Primitive(name=name):
            return name in (("string", "bytes") if column.is_text else ("int",) if column.arrow == _INT else ("int", "long"))
    return False


_TEXT, _INT, _LONG, _MICROS = pa.string(), pa.int32(), pa.int64(), pa.timestamp("us")


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
        case Primitive(name="long", logical=logical):
            arrow = _MICROS if logical == MICROS else _LONG
        case Array(items=Record() as item) if not nullable and field.default is NO_DEFAULT:
            arrow = pa.list_(pa.struct(list(arrow_schema(columns_of(item)))))
        case _:
            raise AssertionError(f"{field.name}: a reader has no fields of this type")
    return Column(field.name, arrow, nullable, field.default, is_text=arrow is _TEXT, is_time=arrow is _MICROS)
