"""One message at a time: for the exact error of a malformed one, and for schemas that the columnar decoder doesn't do.

After a strict walk over the bytes fastavro reads the values, by the writer's schema; then they are resolved to the reader's.
"""

import io
from collections.abc import Callable, Mapping
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
    """Reads single messages of one writer schema as records of the reader."""

    def __init__(self, writer: Type, reader: Record) -> None:
        names: dict[str, str] = {}
        self._schema = fastavro.parse_schema(_for_fastavro(writer, names))
        self._walk = walk_over(writer)
        self._resolve = _Resolver(names).of(writer, reader)

    def read(self, body: bytes) -> dict[str, Any]:
        """The record in `body` by the reader's names; times are UTC micros. Raises Malformed."""
        end = self._walk(body, 0)
        if end < len(body):
            raise Malformed(f"{len(body) - end} bytes are left over after byte {end}")
        value = fastavro.schemaless_reader(io.BytesIO(body), self._schema, None, return_record_name=True)
        record: dict[str, Any] = self._resolve(value)
        return record


class _Resolver:
    """Puts together how values of a writer's type become values of a reader's; `names` are those that fastavro knows records by."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

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
        """By the kind of value: fastavro tells records by their names."""
        records = {self._names[branch.name]: self.of(branch, reader) for branch in writer.branches if isinstance(branch, Record)}
        others: dict[type, Resolve] = {}
        for branch in writer.branches:
            if not isinstance(branch, Record):
                others.setdefault(_python_type(branch), self.of(branch, reader))
        return lambda value: records[value[0]](value[1]) if isinstance(value, tuple) else others[type(value)](value)

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


def _python_type(kind: Type) -> type:
    """What fastavro gives for values of a type (no record), under a schema of _for_fastavro."""
    match kind:
        case Primitive(name=name):
            return _PYTHON_TYPES[name]
        case Array() | Map():
            return list
    return str if isinstance(kind, Enum) else bytes


_PYTHON_TYPES: Mapping[str, type] = {
    "null": type(None),
    "boolean": bool,
    "int": int,
    "long": int,
    "float": float,
    "double": float,
    "bytes": bytes,
    "string": bytes,
}


def _for_fastavro(kind: Type, names: dict[str, str]) -> Any:
    """A schema of the same bytes: no logical types; strings as bytes, and maps as arrays, for what is skipped need not be UTF-8.

    Named types get names of their own, kept in `names`; each is defined where it is first met.
    """
    match kind:
        case Primitive(name=name):
            return "bytes" if name == "string" else name
        case Array(items=items):
            return {"type": "array", "items": _for_fastavro(items, names)}
        case Map(values=values):
            entry = Record(f"an entry of map {len(names)}", (Field("key", Primitive("bytes")), Field("value", values)))
            return {"type": "array", "items": _for_fastavro(entry, names)}
        case Union(branches=branches):
            return [_for_fastavro(branch, names) for branch in branches]
    if kind.name in names:
        return names[kind.name]
    name = names[kind.name] = f"T{len(names)}"
    match kind:
        case Fixed(size=size):
            return {"type": "fixed", "name": name, "size": size}
        case Enum(symbols=symbols):
            return {"type": "enum", "name": name, "symbols": list(symbols)}
    fields = [{"name": field.name, "type": _for_fastavro(field.type, names)} for field in kind.fields]
    return {"type": "record", "name": name, "fields": fields}
