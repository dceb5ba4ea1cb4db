"""One record at a time: for the exact error of a malformed one, and for schemas that the columnar decoder doesn't do.

After a strict walk over the bytes fastavro reads the values, by the writer's schema; then they are resolved to the reader's.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import fastavro

from worker.decode.avro import (
    MICROS,
    MILLIS,
    NO_DEFAULT,
    NULL,
    Array,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
    describe,
    matches,
    source_of,
)
from worker.decode.walk import Malformed, walk_over

Resolve: TypeAlias = Callable[[Any], Any]  # a value as fastavro gave it -> as the reader wants it; raises Malformed


class Rereader:
    """Reads single records of one writer schema as records of the reader."""

    def __init__(self, writer: Type, reader: Record) -> None:
        self._writer, self._reader = writer, reader
        emitter = _Emitter()
        self._schema: Any = fastavro.parse_schema(emitter.schema(writer))
        self._walk = walk_over(writer)
        self._resolve = _Resolver(emitter.unions).of(writer, reader)

    def check(self, body: bytes) -> None:
        """Raises Malformed where the bytes don't follow the writer's schema."""
        end = self._walk(body, 0)
        if end < len(body):
            raise Malformed(f"{len(body) - end} bytes are left over after byte {end}")

    def read(self, body: bytes) -> dict[str, Any]:
        """The record in `body` by the reader's names; times are UTC micros. Raises Malformed."""
        self.check(body)
        record: dict[str, Any] = self._resolve(self._value(body))
        return record

    def shown(self, body: bytes) -> dict[str, Any]:
        """What can be shown of a record that follows the writer's schema but can't be read: its values by the reader's names.

        Bytes that are no UTF-8 become lone surrogates, which are no UTF-8 either.
        """
        assert isinstance(self._writer, Record)
        values, shown = self._value(body), {}
        for field in self._reader.fields:
            if source := source_of(field, self._writer):
                value = _unwrapped(values[source.name])
                shown[field.name] = value * 1000 if isinstance(value, int) and _is_millis(source.type) else value
        return shown

    def ends(self, records: bytes, count: int) -> Iterator[int]:
        """Where each of `count` records ends that stand one after another. fastavro skips them fast but on trust: check what it says.

        It raises errors of any kind.
        """
        stream = io.BytesIO(records)
        nothing: Any = {"type": "record", "name": self._schema["name"], "fields": []}
        for _ in range(count):
            fastavro.schemaless_reader(stream, self._schema, nothing)
            yield stream.tell()

    def _value(self, body: bytes) -> Any:
        return fastavro.schemaless_reader(io.BytesIO(body), self._schema, None, return_record_name=True)


def as_written(kind: Type, value: bytes) -> Any:
    """A value by its writer's type alone, from bytes that were walked over: a number for a time, lone surrogates for what is no UTF-8."""
    schema: Any = fastavro.parse_schema(_Emitter().schema(kind))
    return _unwrapped(fastavro.schemaless_reader(io.BytesIO(value), schema, None, return_record_name=True))


class _Emitter:
    """Writes a schema of the same bytes for fastavro, under which what it reads can be told apart, and what is skipped need not be UTF-8.

    No logical types; strings are bytes, maps are arrays of entries; each branch of a union is a record around its value, for fastavro
    gives the names of records in unions. `unions`: the branches' names by the union's id.
    """

    def __init__(self) -> None:
        self.unions: dict[int, list[str]] = {}
        self._names: dict[str, str] = {}
        self._count = 0

    def schema(self, kind: Type) -> Any:
        match kind:
            case Primitive(name=name):
                return "bytes" if name == "string" else name
            case Array(items=items):
                return {"type": "array", "items": self.schema(items)}
            case Map(values=values):
                return {"type": "array", "items": self._record(self._name(), {"key": Primitive("bytes"), "value": values})}
            case Union(branches=branches):
                names = self.unions[id(kind)] = [self._name() for _ in branches]
                return [self._record(name, {"value": branch}) for name, branch in zip(names, branches, strict=True)]
        if kind.name in self._names:
            return self._names[kind.name]
        name = self._names[kind.name] = self._name()
        match kind:
            case Fixed(size=size):
                return {"type": "fixed", "name": name, "size": size}
            case Enum(symbols=symbols):
                return {"type": "enum", "name": name, "symbols": list(symbols)}
        return self._record(name, {field.name: field.type for field in kind.fields})

    def _name(self) -> str:
        self._count += 1
        return f"T{self._count}"

    def _record(self, name: str, fields: Mapping[str, Type]) -> Any:
        return {"type": "record", "name": name, "fields": [{"name": field, "type": self.schema(kind)} for field, kind in fields.items()]}


class _Resolver:
    """Puts together how values of a writer's type become values of a reader's; `unions` are those of the emitter."""

    def __init__(self, unions: Mapping[int, Sequence[str]]) -> None:
        self._unions = unions

    def of(self, writer: Type, reader: Type) -> Resolve:
        if isinstance(writer, Union):
            return self._union(writer, reader)
        if isinstance(reader, Union):
            if writer == NULL:
                return lambda _: None
            reader = next(branch for branch in reader.branches if branch != NULL)
        match writer, reader:
            case Record(), Record() if matches(writer, reader):
                return self._record(writer, reader)
            case Array(items=inner), Array(items=wanted):
                return self._array(self.of(inner, wanted))
            case Enum(), Primitive(name="string"):
                return _same
            case Primitive(name="string" | "bytes"), Primitive(name="string"):
                return _text
            case (Primitive(name="int"), Primitive(name="int" | "long")) | (Primitive(name="long"), Primitive(name="long")):
                return _micros if (writer.logical, reader.logical) == (MILLIS, MICROS) else _same
        return _refusal(f"{describe(writer)} can't be read as {describe(reader)}")

    def _union(self, writer: Union, reader: Type) -> Resolve:
        branches = {name: self.of(branch, reader) for name, branch in zip(self._unions[id(writer)], writer.branches, strict=True)}
        return lambda value: branches[value[0]](value[1]["value"])

    def _array(self, item: Resolve) -> Resolve:
        return lambda values: [item(value) for value in values]

    def _record(self, writer: Record, reader: Record) -> Resolve:
        fields = [(field.name, self._field(writer, field)) for field in reader.fields]

        def resolve(value: Mapping[str, Any]) -> dict[str, Any]:
            record = {}
            for name, of in fields:
                try:
                    record[name] = of(value)
                except Malformed as error:
                    raise error.within(name) from None
            return record

        return resolve

    def _field(self, writer: Record, field: Field) -> Resolve:
        source = source_of(field, writer)
        if source is None:
            missing = _refusal("the writer has no such field, and the reader no default")
            return missing if field.default is NO_DEFAULT else lambda _: field.default
        name, resolve = source.name, self.of(source.type, field.type)
        return lambda record: resolve(record[name])


def _unwrapped(value: Any) -> Any:
    """A value as the emitter's schema gives it, without the records around branches of unions."""
    match value:
        case (_, {"value": inner}):
            return _unwrapped(inner)
        case bytes():
            return value.decode(errors="surrogateescape")
        case list():
            return [_unwrapped(item) for item in value]
        case dict():
            return {name: _unwrapped(item) for name, item in value.items()}
    return value


def _is_millis(kind: Type) -> bool:
    branches = kind.branches if isinstance(kind, Union) else (kind,)
    return any(isinstance(branch, Primitive) and branch.logical == MILLIS for branch in branches)


def _same(value: Any) -> Any:
    return value


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Malformed(str(error)) from None


def _micros(millis: int) -> int:
    if not -(1 << 63) <= millis * 1000 < 1 << 63:
        raise Malformed(f"{millis} ms doesn't fit 64 bits as microseconds")
    return millis * 1000


def _refusal(fault: str) -> Resolve:
    def refuse(_: Any) -> Any:
        raise Malformed(fault)

    return refuse
