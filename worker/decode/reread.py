"""One message at a time: for the exact error of a malformed one, and for schemas that the columnar decoder doesn't do.

fastavro reads the values. It trusts its input in places (a billion items of zero bytes, numbers of any length, bytes left over), so
a strict walk over the bytes comes first.
"""

import io
from collections.abc import Mapping
from typing import Any

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
    takes_no_bytes,
)
from worker.decode.columns import MAX_EMPTY_ITEMS

_LIMITS = {"int": 1 << 31, "long": 1 << 63}
_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class Malformed(Exception):
    """The bytes don't follow the writer's schema, or a value can't be read as the reader's. Says which field and why."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault
        self.path = ""

    def within(self, name: str) -> "Malformed":
        self.path = f"{name}.{self.path}" if self.path else name
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}" if self.path else self.fault


class Rereader:
    """Reads single messages of one writer schema as records of the reader."""

    def __init__(self, writer: Type, reader: Record) -> None:
        self._writer, self._reader = writer, reader
        self._records: dict[str, Record] = {}
        self._schema = fastavro.parse_schema(_for_fastavro(writer, self._records, {}))

    def read(self, body: bytes) -> dict[str, Any]:
        """The record in `body` by the reader's names; times are UTC micros. Raises Malformed."""
        walk = _Walk(body)
        walk.over(self._writer)
        if walk.at < len(body):
            raise Malformed(f"{len(body) - walk.at} bytes are left over after byte {walk.at}")
        value = fastavro.schemaless_reader(io.BytesIO(body), self._schema, None, return_record_name=True)
        record: dict[str, Any] = self._resolved(value, self._writer, self._reader)
        return record

    def _resolved(self, value: Any, writer: Type, reader: Type) -> Any:
        """A value as fastavro gave it, as the reader wants it."""
        if isinstance(writer, Union):
            writer, value = self._branch(value, writer)
        if isinstance(reader, Union):
            if writer == NULL:
                return None
            reader = next(branch for branch in reader.branches if branch != NULL)
        match writer, reader:
            case Record(), Record() if matches(writer, reader):
                return self._resolved_record(value, writer, reader)
            case Array(items=inner), Array(items=wanted):
                return [self._resolved(item, inner, wanted) for item in value]
            case Enum(), Primitive(name="string"):
                return value
            case Primitive(name="string" | "bytes"), Primitive(name="string"):
                return _text(value)
            case (Primitive(name="int"), Primitive(name="int" | "long")) | (Primitive(name="long"), Primitive(name="long")):
                return _micros(value) if (writer.logical, reader.logical) == (MILLIS, MICROS) else value
        raise Malformed(f"{describe(writer)} can't be read as {describe(reader)}")

    def _resolved_record(self, value: Mapping[str, Any], writer: Record, reader: Record) -> dict[str, Any]:
        record = {}
        for field in reader.fields:
            try:
                record[field.name] = self._resolved_field(value, writer, field)
            except Malformed as error:
                raise error.within(field.name) from None
        return record

    def _resolved_field(self, value: Mapping[str, Any], writer: Record, field: Field) -> Any:
        source = source_of(field, writer)
        if source is not None:
            return self._resolved(value[source.name], source.type, field.type)
        if field.default is NO_DEFAULT:
            raise Malformed("the writer has no such field, and the reader no default")
        return field.default

    def _branch(self, value: Any, union: Union) -> tuple[Type, Any]:
        """Which of the writer's types a value of a union is of, and the value itself: fastavro tells the name of records."""
        if isinstance(value, tuple):
            name, record = value
            return self._records[name], record
        return next(branch for branch in union.branches if type(value) in _python_types(branch)), value


def _python_types(kind: Type) -> tuple[type, ...]:
    """What fastavro gives for a value of a type, under a schema of _for_fastavro."""
    match kind:
        case Primitive(name=name):
            return (_PYTHON_TYPES[name],)
        case Fixed():
            return (bytes,)
        case Enum():
            return (str,)
        case Array() | Map():
            return (list,)
    return ()


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


def _for_fastavro(kind: Type, records: dict[str, Record], names: dict[str, str]) -> Any:
    """A schema of the same bytes: no logical types; strings as bytes, and maps as arrays, for what is skipped need not be UTF-8.

    Named types get names of their own, each defined where it is first met; `records` gets the records by these.
    """
    match kind:
        case Primitive(name=name):
            return "bytes" if name == "string" else name
        case Array(items=items):
            return {"type": "array", "items": _for_fastavro(items, records, names)}
        case Map(values=values):
            entry = Record(f"entry{len(names)}", (Field("key", Primitive("bytes")), Field("value", values)))
            return {"type": "array", "items": _for_fastavro(entry, records, names)}
        case Union(branches=branches):
            return [_for_fastavro(branch, records, names) for branch in branches]
    if kind.name in names:
        return names[kind.name]
    name = names[kind.name] = f"T{len(names)}"
    match kind:
        case Fixed(size=size):
            return {"type": "fixed", "name": name, "size": size}
        case Enum(symbols=symbols):
            return {"type": "enum", "name": name, "symbols": list(symbols)}
    records[name] = kind
    fields = [{"name": field.name, "type": _for_fastavro(field.type, records, names)} for field in kind.fields]
    return {"type": "record", "name": name, "fields": fields}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Malformed(str(error)) from None


def _micros(millis: int) -> int:
    if not -_LIMITS["long"] <= millis * 1000 < _LIMITS["long"]:
        raise Malformed(f"{millis} ms doesn't fit 64 bits as microseconds")
    return millis * 1000


class _Walk:
    """A strict walk over one body: every length, count, index and number must be possible. Raises Malformed."""

    def __init__(self, body: bytes) -> None:
        self.at = 0
        self._body = body

    def over(self, kind: Type) -> None:
        match kind:
            case Primitive(name="int" | "long" as name):
                self._number(_LIMITS[name])
            case Primitive(name="string" | "bytes"):
                self._advance(self._number())
            case Primitive(name=name):
                self._advance(_SIZES[name])
            case Fixed(size=size):
                self._advance(size)
            case Enum(symbols=symbols):
                self._index(len(symbols), "symbols")
            case Union(branches=branches):
                self.over(branches[self._index(len(branches), "branches of a union")])
            case Array(items=items):
                self._items(items, None)
            case Map(values=values):
                self._items(values, Primitive("string"))
            case Record(fields=fields):
                for field in fields:
                    try:
                        self.over(field.type)
                    except Malformed as error:
                        raise error.within(field.name) from None

    def _number(self, limit: int = _LIMITS["long"]) -> int:
        value = 0
        for place in range(10):
            if self.at >= len(self._body):
                raise Malformed("the message ends within it")
            byte = self._body[self.at]
            self.at += 1
            value |= (byte & 127) << 7 * place
            if byte < 128:
                break
        else:
            raise Malformed(f"a number of more than 10 bytes, up to byte {self.at}")
        value = (value >> 1) ^ -(value & 1)
        if not -limit <= value < limit:
            raise Malformed(f"{value} doesn't fit its {limit.bit_length()} bits")
        return value

    def _advance(self, size: int) -> None:
        left = len(self._body) - self.at
        if not 0 <= size <= left:
            raise Malformed(f"{size} bytes are announced at byte {self.at}, where {left} are left")
        self.at += size

    def _index(self, count: int, what: str) -> int:
        index = self._number()
        if not 0 <= index < count:
            raise Malformed(f"index {index} into {count} {what}")
        return index

    def _items(self, item: Type, key: Type | None) -> None:
        """The blocks of an array, or of a map, whose items are led by a key."""
        is_empty = key is None and takes_no_bytes(item)
        read = 0
        while count := self._number():
            stop = None
            if count < 0:
                count, stop = -count, self._number() + self.at
            left = MAX_EMPTY_ITEMS - read if is_empty else len(self._body) - self.at
            if count > left:
                raise Malformed(f"{count} items are announced before byte {self.at}; at most {left} are possible")
            for _ in range(count):
                self._item(item, key, read)
                read += 1
            if stop is not None and stop != self.at:
                raise Malformed(f"a block of items ends at byte {self.at}; it was announced to end at {stop}")

    def _item(self, item: Type, key: Type | None, place: int) -> None:
        try:
            if key is not None:
                self.over(key)
            self.over(item)
        except Malformed as error:
            raise error.within(str(place)) from None
